"""Mask readers: COCO-style json in its forms, the renderer's files, and what is refused."""

import io
import json

import numpy as np
import pytest
from helpers.instance_masks import HEIGHT, WIDTH, forward_camera, rectangle
from pycocotools import mask as mask_utils

from dualdistill_runtime.detection_classes import DETECTION_CLASSES
from mmdet3d_plugin.virtual_points.coco_masks import CocoMaskReader, write_image_masks
from mmdet3d_plugin.virtual_points.instance_masks import MaskFileError, MissingMasksError
from mmdet3d_plugin.virtual_points.rendered_masks import RenderedMaskReader

IMAGE = forward_camera()


def rle(mask):
    code = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(size=list(code['size']), counts=code['counts'].decode())


def uncompressed(mask):
    flat = np.concatenate([[False], mask.ravel(order='F'), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return dict(size=list(mask.shape), counts=np.diff([0, *edges, mask.size]).tolist())


def content(**changes):
    annotations = [
        dict(image_id=7, category_id=3, score=0.75, segmentation=rle(rectangle(10, 20, 30, 40))),
        dict(image_id=7, category_id=9, score=0.5, segmentation=rle(rectangle(0, 0, 5, 5))),
    ]
    base = dict(
        images=[dict(id=7, file_name='data/samples/CAM_FRONT/x.jpg', width=WIDTH, height=HEIGHT)],
        categories=[dict(id=3, name='truck'), dict(id=9, name='person')],
        annotations=annotations,
    )
    return {**base, **changes}


def read(path, **kwargs):
    reader = CocoMaskReader(path, **kwargs)
    return reader.parse(reader.raw(IMAGE), IMAGE)


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def whole(instance):
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    height, width = instance.mask.shape
    mask[instance.top : instance.top + height, instance.left : instance.left + width] = instance.mask
    return mask


@pytest.mark.parametrize('kind', ['folder', 'one file', 'results'])
def test_forms_of_coco_masks(tmp_path, kind):
    options = {}
    if kind == 'folder':
        save(tmp_path / 'masks' / 'samples' / 'CAM_FRONT' / 'x.json', content())
        path = tmp_path / 'masks'
    elif kind == 'one file':
        path = save(tmp_path / 'masks.json', content())
    else:
        path = save(tmp_path / 'results.json', content()['annotations'])
        options['images_file'] = save(tmp_path / 'images.json', content(annotations=[]))
    found = read(path, **options)
    (truck,) = found.instances
    assert (DETECTION_CLASSES[truck.label], truck.score, truck.left, truck.top) == ('truck', 0.75, 10, 20)
    np.testing.assert_array_equal(whole(truck), rectangle(10, 20, 30, 40))
    assert found.left_out == {'of another class': 1}
    names = [DETECTION_CLASSES[i.label] for i in read(path, class_map=dict(person='pedestrian'), **options).instances]
    assert names == ['truck', 'pedestrian']


def test_random_masks_compressed_or_not(tmp_path):
    rng = np.random.default_rng(0)
    masks = [rng.random((HEIGHT, WIDTH)) < share for share in (0.0005, 0.3, 1.1)]
    for encode in (rle, uncompressed):
        rows = [dict(image_id=7, category_id=3, score=1.0, segmentation=encode(mask)) for mask in masks]
        found = read(save(tmp_path / 'masks.json', content(annotations=rows))).instances
        for instance, mask in zip(found, masks):
            np.testing.assert_array_equal(whole(instance), mask)
            edges = [*instance.mask[[0, -1]], *instance.mask[:, [0, -1]].T]
            assert all(edge.any() for edge in edges), 'the crop is tight'


def test_empty_mask_is_counted(tmp_path):
    rows = [dict(image_id=7, category_id=3, score=1.0, segmentation=rle(np.zeros((HEIGHT, WIDTH))))]
    found = read(save(tmp_path / 'masks.json', content(annotations=rows)))
    assert found.instances == [] and found.left_out == {'empty mask': 1}


def test_written_file_is_read_back(tmp_path):
    mask = rectangle(3, 4, 50, 6)
    path = tmp_path / 'samples' / 'CAM_FRONT' / 'x.json'
    write_image_masks(path, IMAGE.path, (HEIGHT, WIDTH), [('bicycle', 0.25, mask)])
    (found,) = read(tmp_path).instances
    assert (DETECTION_CLASSES[found.label], found.score) == ('bicycle', 0.25)
    np.testing.assert_array_equal(whole(found), mask)


def row(**changes):
    return [dict(content()['annotations'][0], **changes)]


@pytest.mark.parametrize(
    'value, message',
    [
        (content(annotations=row(segmentation=rle(np.ones((4, 5))))), r'size \[4, 5\], image of \[90, 160\]'),
        (content(annotations=row(segmentation=[[1, 2, 3, 4, 5, 6]])), 'bad annotation'),
        (content(annotations=row(score=1.5)), r'score 1\.5 is not in 0 to 1'),
        (content(annotations=row(category_id=1)), 'KeyError: 1'),
        (content(annotations=3), 'a list `annotations` of dicts'),
        ([], 'a list `categories` of dicts'),
    ],
)
def test_bad_content_names_the_file(tmp_path, value, message):
    save(tmp_path / 'samples' / 'CAM_FRONT' / 'x.json', value)
    with pytest.raises(MaskFileError, match=message) as caught:
        read(tmp_path)
    assert 'CAM_FRONT/x.json' in str(caught.value)


def test_cut_off_json_names_the_file(tmp_path):
    path = save(tmp_path / 'samples' / 'CAM_FRONT' / 'x.json', content())
    path.write_text(path.read_text()[:-20])
    with pytest.raises(MaskFileError, match=r'x\.json: not json'):
        read(tmp_path)
    with pytest.raises(MaskFileError, match=r'x\.json: not json'):
        read(path)


def test_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match='no masks at'):
        CocoMaskReader(tmp_path / 'none')
    with pytest.raises(ValueError, match=r"unknown classes \['human'\]"):
        CocoMaskReader(tmp_path, class_map=dict(person='human'))
    with pytest.raises(MaskFileError, match='a list of results'):
        read(save(tmp_path / 'results.json', content()['annotations']))
    with pytest.raises(MaskFileError, match='unknown image 8'):
        read(save(tmp_path / 'masks.json', content(annotations=row(image_id=8))))


def test_image_without_masks_is_missing(tmp_path):
    with pytest.raises(MissingMasksError, match=r'samples/CAM_FRONT/x\.json'):
        read(tmp_path)
    other = [dict(id=7, file_name='other.jpg')]
    with pytest.raises(MissingMasksError, match=r'no image x\.jpg'):
        read(save(tmp_path / 'masks.json', content(images=other)))
    with pytest.raises(MissingMasksError, match='--instance-masks'):
        RenderedMaskReader(tmp_path).raw(IMAGE)


def rendered(ids, names):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, ids=ids, names=np.array(names, dtype=str))
    return buffer.getvalue()


def test_rendered_masks(tmp_path):
    ids = np.zeros((HEIGHT, WIDTH), dtype=np.uint16)
    ids[10:20, 30:50], ids[15:18, 35:38] = 1, 3
    found = RenderedMaskReader(tmp_path).parse(rendered(ids, ['car', 'bus', 'bicycle']), IMAGE)
    assert [DETECTION_CLASSES[i.label] for i in found.instances] == ['car', 'bicycle']
    for instance, number in zip(found.instances, (1, 3)):
        np.testing.assert_array_equal(whole(instance), ids == number)
        assert instance.score == 1
    assert found.left_out == {'empty mask': 1}


@pytest.mark.parametrize(
    'raw, message',
    [
        (b'no archive', 'not a mask file'),
        (rendered(np.zeros((2, 2), np.uint16), []), r'expected ids \(90, 160\)'),
        (rendered(np.full((HEIGHT, WIDTH), 2, np.uint16), ['car']), 'from 0 to 1'),
        (rendered(np.zeros((HEIGHT, WIDTH), np.uint16), ['cat']), 'not a mask file'),
    ],
)
def test_bad_rendered_masks(tmp_path, raw, message):
    with pytest.raises(MaskFileError, match=message) as caught:
        RenderedMaskReader(tmp_path).parse(raw, IMAGE)
    assert 'instance_masks/CAM_FRONT/x.npz' in str(caught.value)
