"""Exact masks that the synthetic renderer writes beside its images."""

import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.ndimage import find_objects

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

from ..synthetic.render import mask_path
from .instance_masks import ImageMasks, InstanceMask, MaskFileError, MaskReader, MissingMasksError


class RenderedMaskReader(MaskReader):
    """Masks of ``make_synthetic_nuscenes.py --instance-masks``; every instance has score 1.

    Args:
        data_root (str | Path): Generated data root, the folder of ``instance_masks/``.
    """

    def __init__(self, data_root):
        self.data_root = Path(data_root)

    def raw(self, image):
        path = self._path(image)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise MissingMasksError(f'no masks {path}; generate the data with --instance-masks') from error

    def parse(self, raw, image):
        path = self._path(image)
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
                ids, names = archive['ids'], archive['names']
            labels = [DETECTION_CLASSES.index(str(name)) for name in names]
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise MaskFileError(f'{path}: not a mask file of the synthetic renderer ({error})') from error
        if ids.shape != (image.height, image.width) or ids.dtype.kind not in 'iu' or ids.max(initial=0) > len(labels):
            raise MaskFileError(
                f'{path}: expected ids {(image.height, image.width)} from 0 to {len(labels)}, '
                f'found {ids.shape} {ids.dtype} up to {ids.max(initial=0)}'
            )
        instances = []
        for number, window in enumerate(find_objects(ids, max_label=len(labels)), start=1):
            if window is not None:
                rows, cols = window
                mask = ids[window] == number
                instances.append(InstanceMask(labels[number - 1], 1.0, cols.start, rows.start, mask))
        empty = len(labels) - len(instances)
        return ImageMasks(instances, Counter({'empty mask': empty} if empty else {}))

    def _path(self, image):
        return self.data_root / mask_path(image.path)
