"""Maps of a student and its teacher on the same samples, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmcv.parallel import collate, scatter
from torch import Tensor

from mmdet3d_plugin.distill.regions import Regions
from mmdet3d_plugin.engine import pick_device


@dataclass
class StoredBatch:
    """What an aligner is trained on.

    Attributes:
        student: entry name -> (B, C, H, W) student map.
        teacher: entry name -> (B, C_T, H_T, W_T) teacher map.
        regions: entry name -> regions of the teacher's cells.
    """

    student: dict[str, Tensor]
    teacher: dict[str, Tensor]
    regions: dict[str, Regions]


def store(model, dataset, names: Sequence[str], count: int, size: int) -> list:
    """Maps of random samples; which ones, and their augmentation, follows from the random state.

    Args:
        model (DualDistill): In evaluation mode, on the device there is.
        dataset (Dataset): Samples as in training.
        names: Entries of ``levels``.
        count: Batches; samples come again when there are too few.
        size: Samples of a batch.

    Returns:
        list[StoredBatch]: On the model's device.
    """
    order = torch.cat([torch.randperm(len(dataset)) for _ in range(-(-count * size // len(dataset)))]).tolist()
    batches = []
    for number in range(count):
        with torch.no_grad():
            views = model.compare(_batch([dataset[index] for index in order[number * size : (number + 1) * size]]))
        batches.append(
            StoredBatch(
                student={name: views.student.level(model.entries[name].student) for name in names},
                teacher={name: views.target[name] for name in names},
                regions={name: views.regions[name] for name in names},
            )
        )
    return batches


def _batch(samples):
    device = torch.cuda.current_device() if pick_device() == 'cuda' else -1
    (batch,) = scatter(collate(samples, samples_per_gpu=len(samples)), [device])
    return batch
