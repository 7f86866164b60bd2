"""Choice of earlier camera frames, keyframes or not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from mmdet3d.datasets.builder import PIPELINES

from dualdistill_runtime.poses import pose_matrix

from .select_frames import Frame, SelectFrames


@PIPELINES.register_module()
class SelectAdjacentFrames(SelectFrames):
    """The keyframe and one or more earlier camera frames.

    ``prev[i]`` is the i-th earlier camera frame, newest first, 0.25 s apart in the published 4-D infos. Training draws
    an index in [min_index, max_index), testing takes ``test_index``; a shorter list gives its last (oldest) entry, an
    empty one the current frame again, with identity motion.

    The reference of an earlier frame is the LiDAR mount at the exposure of ``reference_camera``, because camera sweeps
    have no LiDAR sweep at the same moment.

    Reads ``prev`` and what :class:`SelectFrames` reads; writes what it writes, with F = 1 + ``num_previous``.

    Args:
        cameras, reference_camera: see :class:`SelectFrames`.
        min_index, max_index (int): half-open range of the indices drawn in training, each at most once.
        test_index (int | Sequence[int]): index taken when ``test_mode``; several for ``num_previous`` > 1, in
            increasing order.
        num_previous (int): earlier frames.
        test_mode (bool): take ``test_index`` rather than draw.
    """

    def __init__(
        self,
        cameras: Sequence[str] | None = None,
        min_index: int = 2,
        max_index: int = 9,
        test_index: int | Sequence[int] = 5,
        reference_camera: str | None = None,
        test_mode: bool = False,
        num_previous: int = 1,
    ):
        super().__init__(cameras, reference_camera)
        if not 0 <= min_index < max_index:
            raise ValueError(f'need 0 <= min_index < max_index, got min_index={min_index}, max_index={max_index}')
        if not 1 <= num_previous <= max_index - min_index:
            raise ValueError(
                f'num_previous={num_previous} must be at least 1 and at most the {max_index - min_index} indices from '
                f'min_index={min_index} to max_index={max_index} (exclusive)'
            )
        self.min_index = min_index
        self.max_index = max_index
        self.num_previous = num_previous
        self.test_index = test_index
        self.test_mode = test_mode
        indices = self._test_indices()
        if len(indices) != num_previous or indices != sorted(set(indices)) or indices[0] < 0:
            raise ValueError(
                f'num_previous={num_previous} needs as many values of test_index, none negative, in increasing order, '
                f'got {test_index}'
            )

    def _test_indices(self):
        return [self.test_index] if isinstance(self.test_index, int) else list(self.test_index)

    def __call__(self, results):
        previous = results['prev']
        if not previous:
            return self.write_frames(results, [None] * self.num_previous)
        chosen = [previous[min(index, len(previous) - 1)] for index in self._indices()]
        return self.write_frames(results, [self._frame(results, record['cams']) for record in chosen])

    def _indices(self):
        if self.test_mode:
            return self._test_indices()
        return sorted(random.sample(range(self.min_index, self.max_index), self.num_previous))

    def _frame(self, results, cams):
        record = self.reference_record(results, cams)
        ego2global = pose_matrix(record['ego2global_translation'], record['ego2global_rotation'])
        return Frame(cams, ego2global @ np.asarray(results['lidar2ego'], dtype=np.float64))

    def __repr__(self):
        return (
            f'{type(self).__name__}(cameras={self.cameras}, min_index={self.min_index}, max_index={self.max_index}, '
            f'test_index={self.test_index}, reference_camera={self.reference_camera!r}, '
            f'test_mode={self.test_mode}, num_previous={self.num_previous})'
        )
