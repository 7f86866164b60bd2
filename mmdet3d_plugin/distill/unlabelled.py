"""What a distiller knows of samples without labels: the boxes that the teacher finds there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from torch import Tensor

from ..models.heads import BEVHead
from ..structures import Detections
from ..structures.labelled import KEY, unlabelled_samples

WEIGHTS = ('score', None)


@dataclass(frozen=True)
class UnlabelledRules:
    """What becomes of samples without labels, from the distiller's ``unlabelled`` entry.

    Attributes:
        score_threshold: teacher boxes with a score above it count as objects.
        weight: 'score' multiplies the foreground scale of a cell with the score of the box that owns it; None takes all
            boxes alike.
        pseudo_labels: these boxes are also ground truth for the student's own detection loss, which otherwise leaves
            unlabelled samples out.
        nms: entries that replace the teacher's ``test_cfg`` while decoding, as in :class:`CrossHeadBoxLoss`; None for
            its own. A head of queries takes none.
    """

    score_threshold: float = 0.3
    weight: str | None = None
    pseudo_labels: bool = False
    nms: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.score_threshold < 1:
            raise ValueError(f'unlabelled: score_threshold must be at least 0 and below 1, got {self.score_threshold}')
        if self.weight not in WEIGHTS:
            raise ValueError(f'unlabelled: weight must be one of {WEIGHTS}, got {self.weight!r}')

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> UnlabelledRules:
        """Rules of a config entry, the defaults without one.

        Raises:
            ValueError: names unknown keys.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(settings or {}) - set(known))
        if unknown:
            raise ValueError(f'unlabelled takes {", ".join(known)}, got {unknown}')
        return cls(**(settings or {}))

    def check_head(self, head: BEVHead) -> None:
        """Raise ValueError for a teacher's head that cannot decode in this way."""
        head.check_decoding(**self._options)

    @property
    def decoding(self) -> dict[str, Any]:
        """Arguments of :meth:`BEVHead.decode`."""
        return dict(score_threshold=self.score_threshold, **self._options)

    @property
    def _options(self):
        return {} if self.nms is None else dict(nms=self.nms)


class Objects(NamedTuple):
    """What stands in each sample of a batch: ground truth where it is labelled, else what the teacher finds.

    Attributes:
        boxes: B box objects.
        labels: B int64 tensors, index into the classes.
        weights: B float32 tensors, how much each box counts; None for boxes that count alike.
    """

    boxes: Sequence[LiDARInstance3DBoxes]
    labels: Sequence[Tensor]
    weights: Sequence[Tensor] | None = None


def objects_of(batch: Mapping[str, Any], found: Sequence[Detections], rules: UnlabelledRules) -> Objects:
    """Objects of a batch of which some samples are not labelled.

    The teacher's boxes come by falling score, so that where two overlap the surer one owns the cell.

    Args:
        batch: collated.
        found: the teacher's detections in each sample, above the threshold of ``rules``.
        rules: what becomes of these samples.
    """
    boxes, labels = list(batch['gt_bboxes_3d']), list(batch['gt_labels_3d'])
    device = boxes[0].tensor.device
    unlabelled = unlabelled_samples(batch['img_metas'])
    scores = {}
    for sample in unlabelled:
        order = found[sample].scores.argsort(descending=True, stable=True)
        boxes[sample] = found[sample].boxes[order].to(device)
        labels[sample], scores[sample] = found[sample].labels[order], found[sample].scores[order].float().to(device)
    if rules.weight is None:
        return Objects(boxes, labels)
    ones = (torch.ones(len(sample_boxes), device=device) for sample_boxes in boxes)
    return Objects(boxes, labels, [scores.get(sample, weight) for sample, weight in enumerate(ones)])


def labelled_by_teacher(batch: Mapping[str, Any], objects: Objects) -> dict[str, Any]:
    """A batch in which the teacher's boxes are ground truth, so that every sample is labelled."""
    metas = [{**meta, KEY: True} for meta in batch['img_metas']]
    return dict(batch, gt_bboxes_3d=objects.boxes, gt_labels_3d=objects.labels, img_metas=metas)


def believe_teacher(target: Tensor, teacher: Tensor, metas: Sequence[Mapping[str, Any]]) -> Tensor:
    """Target confidence with the teacher's own in unlabelled samples: nobody knows there where it is wrong.

    Args:
        target, teacher: (B, H, W) confidences, best class.
        metas: B dicts.
    """
    unlabelled = unlabelled_samples(metas)
    if unlabelled:
        target = target.clone()
        target[unlabelled] = teacher[unlabelled]
    return target
