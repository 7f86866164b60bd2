"""CRD without boxes: cross predictions against the teacher's maps, cell by cell."""

import torch
import torch.nn.functional as F
from mmdet.models.builder import LOSSES
from torch import nn

from ...models.heads.center_decode import logit_threshold
from .response import weighted_task_losses

_REGRESSION = ('reg', 'height', 'dim', 'rot', 'vel')


def heatmap_peaks(logits, temperature, threshold):
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


def quality_focal(logits, target, beta):
    """|target - sigmoid(logits)|^beta * cross entropy for soft targets, elementwise (Generalized Focal Loss)."""
    gap = (target - logits.sigmoid()).abs()
    return gap.pow(beta) * F.binary_cross_entropy_with_logits(logits, target, reduction='none')


@LOSSES.register_module()
class CrossHeadDenseLoss(nn.Module):
    """Cross predictions against the teacher's predictions, dense.

    Heatmap: quality focal loss against the teacher's sharpened heatmap sigmoid(logit / temperature), summed and divided
    by the number of teacher peaks. Regression: L1 to the teacher's values at its peaks, weighted by the sharpened peak
    score and the head's code weights, divided by the sum of those scores.

    Args:
        temperature (float): divisor of the teacher's heatmap logits.
        score_threshold (float): lowest sharpened score of a peak.
        beta (float): focusing exponent of the heatmap loss.
        bbox_weight (float): factor of the regression loss.
        loss_weight (float): factor of the whole loss.
    """

    def __init__(self, *, temperature=0.1, score_threshold=0.1, beta=2.0, bbox_weight=0.25, loss_weight=1.0):
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        self.temperature = temperature
        self.score_threshold = score_threshold
        self.beta = beta
        self.bbox_weight = bbox_weight
        self.loss_weight = loss_weight

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

    def forward(self, head, cross_preds, teacher_preds, img_metas):
        """Losses of a batch; arguments and result as :meth:`CrossHeadBoxLoss.forward`, peaks counted as boxes."""
        losses, counts = {}, []
        device = cross_preds[0][0]['heatmap'].device
        with torch.autocast(device.type, enabled=False):
            code_weights = torch.tensor(head.train_cfg['code_weights'], dtype=torch.float32, device=device)
            for task, ((cross,), (teacher,)) in enumerate(zip(cross_preds, teacher_preds)):
                cross = {name: value.float() for name, value in cross.items()}
                teacher = {name: value.detach().float() for name, value in teacher.items()}
                heatmap, bbox, count = self._task_losses(cross, teacher, code_weights)
                losses[f'task{task}.loss_heatmap'] = heatmap
                losses[f'task{task}.loss_bbox'] = bbox
                counts.append(count)
        losses = weighted_task_losses(losses, self.loss_weight)
        losses['num_boxes'] = sum(counts) / len(img_metas)
        return losses
