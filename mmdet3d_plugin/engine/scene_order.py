"""Testing detectors that remember frames: whole scenes a process, in order, and results back where they belong."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence, Sized
from typing import Any, cast

import mmcv
import mmcv.runner
import torch
import torch.distributed as dist
from mmdet.core import DistEvalHook, EvalHook
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from dualdistill_runtime.frame_order import LONGEST_GAP, FramesOutOfOrder, follows

from ..models.detectors.base import BEVDetector


class SceneShare(Subset):
    """The samples of a data set that one process tests: whole scenes, one after the other.

    Args:
        dataset: tells scene and time of its samples, see :func:`scene_times`.
        rank: which share.
        processes: how many shares there are.

    Raises:
        ValueError: the data set does not tell.
    """

    dataset: Any  # of mmdet's interface

    def __init__(self, dataset: Dataset, rank: int = 0, processes: int = 1) -> None:
        times = scene_times(dataset)
        scenes = group_scenes([scene for scene, _ in times])
        super().__init__(dataset, share_out(scenes, processes)[rank])
        self.rank, self.processes = rank, processes
        if rank == 0:
            warn_of_gaps(times, scenes)

    def evaluate(self, results: list[Any], **kwargs: Any) -> dict[str, Any]:
        """Scores of the whole data set, for the hooks that know the loader only."""
        return self.dataset.evaluate(results, **kwargs)


def scene_times(dataset: Dataset) -> list[tuple[Hashable, float]]:
    """Scene and time (s) of every sample, of a data set that has a method of this name or of wrappers around one.

    Raises:
        ValueError: the innermost data set has no such method.
    """
    if hasattr(dataset, 'scene_times'):
        return dataset.scene_times()
    if hasattr(dataset, 'datasets'):  # ConcatDataset
        return [pair for part in dataset.datasets for pair in scene_times(part)]
    if not hasattr(dataset, 'dataset'):
        raise ValueError(
            f'{type(dataset).__name__} does not tell scene and time of its samples, which a detector that remembers '
            f'frames needs: give it a method scene_times() that returns a list of (scene, seconds)'
        )
    inner = scene_times(dataset.dataset)
    # torch's Subset, mmdet3d's CBGSDataset, mmdet's ClassBalancedDataset; RepeatDataset has the same again and again
    for name in ('indices', 'sample_indices', 'repeat_indices'):
        if hasattr(dataset, name):
            return [inner[index] for index in getattr(dataset, name)]
    return [inner[index % len(inner)] for index in range(len(cast(Sized, dataset)))]


def group_scenes(scenes: Sequence[Hashable]) -> list[list[int]]:
    """Indices of the samples of each scene, both in the order of their first appearance."""
    groups: dict[Hashable, list[int]] = {}
    for index, scene in enumerate(scenes):
        groups.setdefault(scene, []).append(index)
    return list(groups.values())


def share_out(scenes: Sequence[Sequence[int]], processes: int) -> list[list[int]]:
    """Neighbouring scenes for each process, about as many samples for each; some get none of very few scenes."""
    total, before = sum(map(len, scenes)), 0
    shares: list[list[int]] = [[] for _ in range(processes)]
    for scene in scenes:
        shares[int((before + len(scene) / 2) / total * processes)].extend(scene)
        before += len(scene)
    return shares


def warn_of_gaps(times: Sequence[tuple[Hashable, float]], scenes: Sequence[Sequence[int]]) -> None:
    """Say once that samples are missing or out of order within their scenes."""
    steps = [(index, times[index][1] - times[last][1]) for s in scenes for last, index in zip(s, s[1:])]
    wrong = [(index, step) for index, step in steps if not follows(step)]
    if wrong:
        index, step = wrong[0]
        warnings.warn(
            f'{len(wrong)} of {len(times)} samples do not come within {LONGEST_GAP:g} s after another one of their '
            f'scene; the first is sample {index}, {step:+.2f} s. The data set is thinned (load_interval), shuffled or '
            f'repeated. The detector forgets earlier frames there, so these are not the scores of the whole set.',
            FramesOutOfOrder,
            stacklevel=4,
        )


def check_one_at_a_time(model: nn.Module, samples: int, setting: str) -> None:
    """Refuse batches for a detector that remembers frames.

    Raises:
        ValueError: ``samples`` in a batch are more than one; names the ``setting``.
    """
    if samples != 1:
        raise ValueError(
            f'{setting}={samples}: {type(model).__name__} remembers the frame before, so it is tested one sample at a '
            f'time: set it to 1'
        )


def predict_scenes(model: nn.Module, loader: DataLoader, **_: Any) -> list[Any] | None:
    """Predictions for every sample, in the order of the data set. Earlier runs are forgotten first.

    Args:
        model: wrapped :attr:`~BEVDetector.sequential` detector.
        loader: over a :class:`SceneShare`, in its order, one sample at a time. All processes call at once.
        **_: how mmcv's hooks would have results collected.

    Returns:
        One entry per sample in the process of rank 0, None in the others.
    """
    share = cast(SceneShare, loader.dataset)
    model.eval()
    cast(BEVDetector, model.module).reset()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore', FramesOutOfOrder)  # warn_of_gaps has said so for all processes
        results = _predict(model, loader, mmcv.ProgressBar(len(share)) if share.rank == 0 else None)
    return _put_back(dict(zip(share.indices, results)), share)


def _predict(model, loader, bar):
    """Predictions of one process, in the order of its loader."""
    results = []
    for batch in loader:
        results += model(return_loss=False, **batch)
        if bar:
            bar.update()
    return results


def _put_back(results, share):
    """Results by index of all processes, as one list where the first process is."""
    parts = [results]
    if share.processes > 1:
        parts = [None] * share.processes
        dist.gather_object(results, parts if share.rank == 0 else None)
    if share.rank != 0:
        return None
    by_index = {index: result for part in parts for index, result in part.items()}
    return [by_index[index] for index in range(len(share.dataset))]


# mmcv's evaluation calls the test function that it was given, mmdet's calls one of its own
class SceneEvalHook(EvalHook):
    """mmdet's evaluation hook for a detector that remembers frames."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, test_fn=predict_scenes, **kwargs)

    def _do_evaluate(self, runner):
        mmcv.runner.EvalHook._do_evaluate(self, runner)


class DistSceneEvalHook(DistEvalHook):
    """The same for several processes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, test_fn=predict_scenes, **kwargs)

    def _do_evaluate(self, runner):
        mmcv.runner.DistEvalHook._do_evaluate(self, runner)
