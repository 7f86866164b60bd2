"""CRD with boxes: the student, read by the teacher's frozen head, must detect what the teacher detects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...models.heads.base import BEVHead, Predictions
from ..registry import DISTILL
from .base import ResponseLoss, bare_terms


@DISTILL.register_module()
class CrossHeadBoxLoss(ResponseLoss):
    """Teacher's boxes as targets for the cross predictions (the released code's response loss), for any head.

    The teacher's heatmap logits are divided by ``temperature`` (entropy minimisation), decoded and suppressed; the
    boxes become targets of the teacher head's own loss on the predictions it makes from the aligned student map.

    Args:
        temperature: divisor of the teacher's heatmap logits.
        score_threshold: lowest sharpened score of a teacher box; 0.1 at temperature 0.1 is an original score of
            0.445.
        nms: entries that replace the teacher's ``test_cfg`` while decoding, for instance
            ``dict(nms_type='rotate', nms_thr=0.2, post_max_size=83)``.
        loss_weight: factor of the whole loss.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        score_threshold: float = 0.1,
        nms: Mapping[str, Any] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight=loss_weight)
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        self.temperature = temperature
        self.score_threshold = score_threshold
        self.decoding = {} if nms is None else dict(nms=nms)

    def check_head(self, head: BEVHead) -> None:
        """The head must be able to decode in this way, and to make targets of boxes."""
        if not head.can_train:
            raise ValueError('teacher head cannot draw targets: give the teacher config a train_cfg with a pts section')
        head.check_decoding(**self.decoding)

    def terms(
        self, head: BEVHead, cross: Predictions, teacher: Predictions, metas: Sequence[Mapping[str, Any]]
    ) -> dict[str, Tensor]:
        """The head's own losses, and ``num_boxes``, teacher boxes per sample."""
        detections = head.decode(
            teacher, metas, score_threshold=self.score_threshold, temperature=self.temperature, **self.decoding
        )
        boxes, _, labels = zip(*detections)
        terms = bare_terms(head.loss(cross, list(boxes), list(labels), metas))
        count = sum(len(sample) for sample in labels) / len(labels)
        terms['num_boxes'] = torch.tensor(count, device=next(iter(terms.values())).device)
        return terms
