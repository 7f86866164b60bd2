"""Instance masks in COCO's form (run-length encoded masks with category and score), from any 2-D detector."""

import json
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from pycocotools import mask as mask_utils

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

from ..structures.atomic_file import replace_when_done
from .instance_masks import ImageMasks, MaskFileError, MaskReader, MissingMasksError, crop_instance


def coco_mask_path(image_path):
    """PurePosixPath: Mask file of an image, relative to the masks' folder: ``samples/CAM/x.jpg`` -> ``.../x.json``."""
    return PurePosixPath(image_path).with_suffix('.json')


def write_image_masks(path, image_path, size, instances):
    """Write the mask file of one image; it appears under its name only when complete.

    Args:
        path (str | Path): File to write.
        image_path (str): Image, relative to the data root.
        size (tuple[int, int]): Its height and width, px.
        instances (Iterable[tuple[str, float, np.ndarray]]): Detection class, score and mask (height, width) of each.
    """
    annotations = []
    for name, score, mask in instances:
        code = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
        code['counts'] = code['counts'].decode('ascii')
        category = DETECTION_CLASSES.index(name)
        annotations.append(dict(image_id=0, category_id=category, score=score, segmentation=code))
    content = dict(
        images=[dict(id=0, file_name=str(image_path), height=size[0], width=size[1])],
        categories=[dict(id=number, name=name) for number, name in enumerate(DETECTION_CLASSES)],
        annotations=annotations,
    )
    with replace_when_done(path) as temporary:
        temporary.write_text(json.dumps(content))


class CocoMaskReader(MaskReader):
    """Masks in json, one file per image below a folder, or one file for all.

    A file is a dict like a COCO data set: ``images`` (``id``, ``file_name``, ``width``, ``height``), ``categories``
    (``id``, ``name``) and ``annotations`` (``image_id``, ``category_id``, ``score``, ``segmentation`` with ``size``
    [height, width] and ``counts``, compressed or not). A file of its own for an image lies at
    :func:`coco_mask_path` and has that one image. In one file for all, images are found by the last part of
    ``file_name``, which is unique in nuScenes. Usual COCO results, a plain list of annotations, need ``images_file``.

    Args:
        path (str | Path): Folder or file.
        images_file (str | Path): COCO file with ``images`` and ``categories`` for a list of results.
        class_map (dict): Category name -> detection class, for detectors with other names (``person`` ->
            ``pedestrian``). Categories that are neither in it nor detection classes are left out and counted.

    Raises:
        FileNotFoundError: ``path`` is not there.
        MaskFileError: A file for all that is damaged or lacks images or categories.
        ValueError: ``class_map`` names an unknown detection class.
    """

    def __init__(self, path, images_file=None, class_map=None):
        self.path = Path(path)
        self.class_map = dict({name: name for name in DETECTION_CLASSES}, **(class_map or {}))
        unknown = sorted(set(self.class_map.values()) - set(DETECTION_CLASSES))
        if unknown:
            raise ValueError(f'class map: unknown classes {unknown}; the classes are {list(DETECTION_CLASSES)}')
        if not self.path.exists():
            raise FileNotFoundError(f'no masks at {self.path}')
        self._by_image = None if self.path.is_dir() else self._load_all(images_file)

    def _load_all(self, images_file):
        """dict: Image name -> bytes of a file of its own."""
        content = _loads(self.path.read_bytes(), self.path)
        if isinstance(content, list):
            if images_file is None:
                raise MaskFileError(f'{self.path}: a list of results; name the file with their images and categories')
            described = _loads(Path(images_file).read_bytes(), images_file)
            content = dict(_tables(described, images_file, ('images', 'categories')), annotations=content)
        content = _tables(content, self.path, ('images', 'categories', 'annotations'))
        by_id = {image['id']: [] for image in content['images']}
        for annotation in content['annotations']:
            if annotation.get('image_id') not in by_id:
                raise MaskFileError(f'{self.path}: annotation of the unknown image {annotation.get("image_id")!r}')
            by_id[annotation['image_id']].append(annotation)
        categories = content['categories']
        return {
            PurePosixPath(image['file_name']).name: json.dumps(
                dict(images=[image], categories=categories, annotations=by_id[image['id']])
            ).encode()
            for image in content['images']
        }

    def raw(self, image):
        if self._by_image is not None:
            name = PurePosixPath(image.path).name
            if name not in self._by_image:
                raise MissingMasksError(f'{self.path}: no image {name}')
            return self._by_image[name]
        path = self.path / coco_mask_path(image.path)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise MissingMasksError(f'no masks {path}') from error

    def parse(self, raw, image):
        where = self.path / coco_mask_path(image.path) if self._by_image is None else f'{self.path}, image {image.path}'
        content = _tables(_loads(raw, where), where, ('categories', 'annotations'))
        try:
            names = {category['id']: category['name'] for category in content['categories']}
            instances, left_out = [], Counter()
            for annotation in content['annotations']:
                name = self.class_map.get(names[annotation['category_id']])
                if name is None:
                    left_out['of another class'] += 1
                    continue
                mask, left, top = _decode(annotation['segmentation'], image)
                score = float(annotation['score'])
                if not 0 <= score <= 1:
                    raise ValueError(f'score {score} is not in 0 to 1')
                instance = crop_instance(DETECTION_CLASSES.index(name), score, mask, left, top)
                if instance is None:
                    left_out['empty mask'] += 1
                else:
                    instances.append(instance)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MaskFileError(f'{where}: bad annotation or category, {type(error).__name__}: {error}') from error
        return ImageMasks(instances, left_out)


def _decode(segmentation, image):
    """Part of the mask around its pixels, (h, w) bool, and its first column and row.

    Cut by the bounding box, which costs little to find from run lengths: most of an image is no instance.
    """
    if list(segmentation['size']) != [image.height, image.width]:
        raise ValueError(f'mask of size {segmentation["size"]}, image of {[image.height, image.width]}')
    if isinstance(segmentation['counts'], list):
        segmentation = mask_utils.frPyObjects(segmentation, image.height, image.width)
    left, top, width, height = map(int, mask_utils.toBbox(segmentation))
    return mask_utils.decode(segmentation)[top : top + height, left : left + width].view(bool), left, top


def _loads(data, path):
    try:
        return json.loads(data)
    except ValueError as error:
        raise MaskFileError(f'{path}: not json ({error})') from error


def _tables(content, path, keys):
    """``content``, when it is a dict with a list of dicts under every one of ``keys``."""
    for key in keys:
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise MaskFileError(f'{path}: expected a COCO-style dict with a list `{key}` of dicts')
    return content
