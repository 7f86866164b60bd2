"""``benchmark.py images``: what the twelve images of a sample cost, and by how much reduced decoding changes them."""

import functools
import math
import random
import statistics
import tempfile
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import cv2
import numpy as np

from dualdistill_runtime.image_affine import resize_matrix
from mmdet3d_plugin.datasets.pipelines import AugmentMultiViewImages, LoadMultiViewImages, load_multi_view_images

from .timing import in_a_process, median_ratio

CAMERAS, FRAMES, BATCH = 6, 2, 4
PLAIN = dict(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # differences in grey levels


class WholeImages(AugmentMultiViewImages):
    """The reference: the whole image is shrunk, also what the crop drops."""

    def _render(self, image, matrix, out):
        shrink = max(1, int(1 / math.sqrt(abs(np.linalg.det(matrix[:2, :2]))) + 1e-6))
        if shrink > 1:
            height, width = (side // shrink for side in image.shape[:2])
            boxes = image[: height * shrink, : width * shrink]
            image = cv2.resize(boxes, (width, height), interpolation=cv2.INTER_AREA)
            matrix = matrix @ resize_matrix(shrink)
        self._write(cv2.warpAffine(image, matrix[:2], self.final_dim[::-1], flags=cv2.INTER_LINEAR), out)


REFERENCE = 'fresh memory, whole images'
BYTES = functools.partial(AugmentMultiViewImages, as_uint8=True)
VARIANTS = {  # name -> decode_reduction, augmentation, whether freed memory is kept
    'default': (1, AugmentMultiViewImages, True),
    'as_uint8': (1, BYTES, True),
    'decode_reduction=2': (2, AugmentMultiViewImages, True),
    'both': (2, BYTES, True),
    'decode_reduction=4': (4, AugmentMultiViewImages, True),
    REFERENCE: (1, WholeImages, False),
}


def measure(args):
    """(numbers by name, e.g. 'images.default.samples_per_cpu_s'; table ``images``).

    A process of its own makes ``args.batches`` batches of each variant in each round: what a process does with freed
    memory cannot be taken back.

    Raises:
        ValueError: ``--device cuda``, or too few images.
    """
    if args.device != 'cpu':
        raise ValueError('samples are made on the CPU: leave out --device')
    with tempfile.TemporaryDirectory() as made:
        frames = _frames(args.folder or _write_images(Path(made)))
        seconds, pictures = {name: [] for name in VARIANTS}, {}
        for index in range(args.rounds):
            for name in list(VARIANTS)[:: 1 if index % 2 == 0 else -1]:
                job = functools.partial(_cpu_seconds, name, frames, args.size, args.batches)
                seconds[name].append(in_a_process(job)[0])
        for name in VARIANTS:
            pictures[name] = in_a_process(functools.partial(_picture, name, frames, args.size))[0]
    return _report(seconds, {name: np.abs(picture - pictures[REFERENCE]) for name, picture in pictures.items()})


def _frames(folder):
    paths = sorted(Path(folder).rglob('*.jpg'))[: CAMERAS * FRAMES]
    if len(paths) < CAMERAS * FRAMES:
        raise ValueError(f'{folder} has {len(paths)} files *.jpg, a sample needs {CAMERAS * FRAMES}')
    cameras = [dict(data_path=str(path)) for path in paths]
    return [cameras[first : first + CAMERAS] for first in range(0, len(cameras), CAMERAS)]


def _write_images(folder):
    """Images of nuScenes' size and about its bytes: shades of four scales and a little noise."""
    rng = np.random.default_rng(0)
    for number in range(CAMERAS * FRAMES):
        image = np.full((900, 1600, 3), 128.0, dtype=np.float32)
        for cells, strength in ((4, 45), (16, 25), (64, 12), (256, 6)):
            coarse = rng.normal(0, strength, (cells * 9 // 16 + 1, cells, 3)).astype(np.float32)
            image += cv2.resize(coarse, (1600, 900), interpolation=cv2.INTER_CUBIC)
        image += rng.normal(0, 2, (900, 1600, 1))
        cv2.imwrite(
            str(folder / f'{number:02d}.jpg'), image.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80]
        )
    return folder


def _steps(name, size, **norm):
    reduction, augmentation, keeps = VARIANTS[name]
    if not keeps:
        load_multi_view_images.keep_freed_memory = lambda: False  # in this process alone, which ends
    return LoadMultiViewImages(reduction), augmentation(final_dim=size, **norm)


def _cpu_seconds(name, frames, size, batches):
    """Decoding, augmenting and collating, s of this process a sample: the median over batches after an untimed one."""
    (load, augment), seconds = _steps(name, size), []
    random.seed(0)
    for _ in range(1 + batches):
        spent, batch = np.zeros(3), []
        for _ in range(BATCH):
            marks = [time.process_time()]
            results = load(dict(frames=frames))
            marks.append(time.process_time())
            batch.append(augment(results)['img'])
            marks.append(time.process_time())
            spent[:2] += np.diff(marks)
        _collate(batch)
        spent[2] = time.process_time() - marks[-1]
        seconds.append(spent / BATCH)
    return np.median(seconds[1:], axis=0).tolist()


def _collate(batch):
    """As a worker does it: into memory that the training process sees too, fresh for every batch."""
    memory = SharedMemory(create=True, size=len(batch) * batch[0].nbytes)
    np.stack(batch, out=np.ndarray((len(batch), *batch[0].shape), batch[0].dtype, memory.buf))
    memory.close()
    memory.unlink()


def _picture(name, frames, size):
    """Every pixel of some samples in grey levels."""
    load, augment = _steps(name, size, **PLAIN)
    random.seed(0)
    samples = [augment(load(dict(frames=frames)))['img'] for _ in range(2)]
    return np.stack(samples).round().astype(np.int16)


def _report(seconds, differences):
    numbers = {}
    columns = [('decoding, CPU ms', 'augmentation, CPU ms', 'collating, CPU ms', 'samples a CPU second', 'ratio',
                'grey levels of difference, mean', 'grey levels of difference, largest')]  # fmt: skip
    totals = {name: [sum(steps) for steps in rounds] for name, rounds in seconds.items()}
    for name, rounds in seconds.items():
        decode, augment, collate = (1e3 * statistics.median(step) for step in zip(*rounds))
        found = dict(
            decode_ms=decode,
            augment_ms=augment,
            collate_ms=collate,
            samples_per_cpu_s=1 / statistics.median(totals[name]),
            ratio=median_ratio(totals[REFERENCE], totals[name]),
            mean_difference=float(differences[name].mean()),
            largest_difference=int(differences[name].max()),
        )
        numbers.update({f'images.{name}.{key}': value for key, value in found.items()})
        formats = ('.1f', '.1f', '.1f', '.2f', '.2f', '.2f', 'd')
        columns.append(tuple(format(value, spec) for value, spec in zip(found.values(), formats)))
    header = ('twelve images of a sample', *VARIANTS)
    return numbers, dict(images=[header, *zip(*columns)])
