"""CRD without boxes: cross predictions against the teacher's maps, cell by cell."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.heads.base import BEVHead, Predictions
from ...models.heads.bev_center_head import BEVCenterHead
from ...models.heads.center_decode import logit_threshold
from ..registry import DISTILL
from .base import ResponseLoss

_REGRESSION = ('reg', 'height', 'dim', 'rot', 'vel')


def heatmap_peaks(logits: Tensor, temperature: float, threshold: float) -> Tensor:
    """Best sharpened class score of cells that are 3x3 maxima of their class and score above ``threshold``, else 0.

    Maxima are those of the plain logits: scores sharpened with temperature 0.1 round to exactly 1 from a logit of 1.7
    on, and a peak would look no higher than its neighbours.

    Args:
        logits: (B, C, H, W) float32.
        temperature: divisor of the logits in the scores sigmoid(logits / temperature).

    Returns:
        (B, H, W) float32 in [0, 1].
    """
    is_peak = logits == F.max_pool2d(logits, 3, stride=1, padding=1)
    is_peak &= logits > logit_threshold(threshold, temperature)
    return ((logits / temperature).sigmoid() * is_peak).amax(dim=1)


def quality_focal(logits: Tensor, target: Tensor, beta: float) -> Tensor:
    """|target - sigmoid(logits)|^beta * cross entropy for soft targets, elementwise (Generalized Focal Loss)."""
    gap = (target - logits.sigmoid()).abs()
    return gap.pow(beta) * F.binary_cross_entropy_with_logits(logits, target, reduction='none')


@DISTILL.register_module()
class CrossHeadDenseLoss(ResponseLoss):
    """Cross predictions against the teacher's predictions, dense.

    Heatmap: quality focal loss against the teacher's sharpened heatmap sigmoid(logit / temperature), summed and divided
    by the number of teacher peaks. Regression: L1 to the teacher's values at its peaks, weighted by the sharpened peak
    score and the head's code weights, divided by the sum of those scores.

    Args:
        temperature: divisor of the teacher's heatmap logits.
        score_threshold: lowest sharpened score of a peak.
        beta: focusing exponent of the heatmap loss.
        bbox_weight: factor of the regression loss.
        loss_weight: factor of the whole loss.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        score_threshold: float = 0.1,
        beta: float = 2.0,
        bbox_weight: float = 0.25,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight=loss_weight)
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        self.temperature = temperature
        self.score_threshold = score_threshold
        self.beta = beta
        self.bbox_weight = bbox_weight

    def _task_losses(self, cross, teacher, code_weights):
        """(heatmap loss, regression loss, number of peaks) of one task."""
        target = (teacher['heatmap'] / self.temperature).sigmoid()
        peaks = heatmap_peaks(teacher['heatmap'], self.temperature, self.score_threshold)
        count = (peaks > 0).sum()
        heatmap = quality_focal(cross['heatmap'], target, self.beta).sum() / count.clamp(min=1)
        names = [name for name in _REGRESSION if name in cross]
        distance = (
            torch.cat([cross[name] for name in names], dim=1) - torch.cat([teacher[name] for name in names], dim=1)
        ).abs()
        per_cell = (distance * code_weights[:, None, None]).sum(dim=1)
        # the small constant only matters without peaks, where the numerator is zero as well
        bbox = self.bbox_weight * (per_cell * peaks).sum() / (peaks.sum() + 1e-4)
        return heatmap, bbox, count

    def check_head(self, head: BEVHead) -> None:
        """Only CenterPoint's heads have the maps that are compared."""
        if not isinstance(head, BEVCenterHead) or not head.can_train:
            raise ValueError(
                f'CrossHeadDenseLoss compares the maps of a BEVCenterHead with a train_cfg, the teacher head is '
                f'{type(head).__name__}: take CrossHeadBoxLoss'
            )

    def terms(
        self, head: BEVHead, cross: Predictions, teacher: Predictions, metas: Sequence[Mapping[str, Any]]
    ) -> dict[str, Tensor]:
        """``task{i}.heatmap`` and ``task{i}.bbox``, and ``num_boxes``, peaks per sample."""
        terms, counts = {}, []
        code_weights = torch.tensor(
            cast(BEVCenterHead, head).train_cfg['code_weights'],
            dtype=torch.float32,
            device=cross[0][0]['heatmap'].device,
        )
        for task, ((ours,), (theirs,)) in enumerate(zip(cross, teacher)):
            ours = {name: value.float() for name, value in ours.items()}
            theirs = {name: value.detach().float() for name, value in theirs.items()}
            heatmap, bbox, count = self._task_losses(ours, theirs, code_weights)
            terms[f'task{task}.heatmap'], terms[f'task{task}.bbox'] = heatmap, bbox
            counts.append(count)
        terms['num_boxes'] = sum(counts) / len(metas)
        return terms
