"""Choice of a queue of keyframes for a detector that remembers."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from mmdet3d.datasets.builder import PIPELINES

from dualdistill_runtime.cameras import reference_pose

from .select_frames import Frame, SelectFrames


@PIPELINES.register_module()
class SelectKeyframeQueue(SelectFrames):
    """The keyframe and the ones before it in its scene, as BEVFormer (arXiv 2203.17270) trains its memory.

    Of the ``queue_length`` keyframes before the current one, training drops one at random, which varies the time
    between frames, and testing the oldest. The others keep their order: F = ``queue_length`` frames, the current one
    first, then newest to oldest.

    A scene that begins inside the queue gives fewer keyframes. The oldest one chosen then stands in for those that are
    not there, so that F stays the same; nothing may be remembered from such a copy, and ``has_prev`` says so.

    The reference of every frame is LIDAR_TOP at its keyframe.

    Reads ``earlier_keyframes``, ``timestamp`` and what :class:`SelectFrames` reads. Writes what it writes, and:
        has_prev (ndarray): (F,) bool, whether frame f + 1 of the queue really came before frame f. Where it is False,
            frame f starts with an empty memory; always so for the last one, the oldest.
        frame_tokens (list[str]): F sample tokens.
        frame_times (ndarray): (F,) float64, s, of the keyframes.
        ego2global (ndarray): (F, 4, 4) float64, the car at each keyframe; replaces the current frame's (4, 4).

    Args:
        queue_length (int): F, the current frame included.
        cameras, reference_camera: see :class:`SelectFrames`.
        test_mode (bool): drop the oldest keyframe rather than a random one.

    Raises:
        KeyError: the data set hands over no ``earlier_keyframes``.
    """

    def __init__(
        self,
        queue_length: int = 4,
        cameras: Sequence[str] | None = None,
        reference_camera: str | None = None,
        test_mode: bool = False,
    ):
        super().__init__(cameras, reference_camera)
        if queue_length < 1:
            raise ValueError(f'queue_length counts the current frame and must be at least 1, got {queue_length}')
        self.queue_length = queue_length
        self.test_mode = test_mode

    @property
    def earlier_keyframes(self) -> int:
        """Keyframes that the data set hands over, one of which is dropped; none for a queue of one."""
        return self.queue_length if self.queue_length > 1 else 0

    def __call__(self, results):
        if self.earlier_keyframes and 'earlier_keyframes' not in results:
            raise KeyError(
                f'sample {results["sample_idx"]} comes without `earlier_keyframes`: SelectKeyframeQueue must stand in '
                f'the pipeline of a NuScenesBEVDataset, which then adds them'
            )
        current, known = results, results.get('earlier_keyframes', [])
        slots = self._slots()
        chosen = [known[slot] for slot in slots if slot < len(known)]
        copies = [(chosen or [current])[-1]] * (len(slots) - len(chosen))
        queue = [current, *chosen, *copies]
        poses = np.stack([np.asarray(keyframe['ego2global'], dtype=np.float64) for keyframe in queue])
        times = np.array([keyframe['timestamp'] for keyframe in queue])
        tokens = [keyframe['sample_idx'] for keyframe in queue]

        frames = [None if k is current else Frame(k['cams'], reference_pose(k)) for k in queue[1:]]
        results = self.write_frames(results, frames)
        has_prev = np.arange(self.queue_length) < len(chosen)
        results.update(has_prev=has_prev, frame_tokens=tokens, frame_times=times, ego2global=poses)
        return results

    def _slots(self):
        """Which of the earlier keyframes, 0 the newest, are kept: all but one."""
        dropped = self.queue_length - 1 if self.test_mode else random.randrange(self.queue_length)
        return [slot for slot in range(self.queue_length) if slot != dropped]

    def __repr__(self):
        return (
            f'{type(self).__name__}(queue_length={self.queue_length}, cameras={self.cameras}, '
            f'reference_camera={self.reference_camera!r}, test_mode={self.test_mode})'
        )
