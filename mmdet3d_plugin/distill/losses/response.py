"""CRD with boxes: the student, read by the teacher's frozen head, must detect what the teacher detects."""

import torch
from mmdet.models.builder import LOSSES
from torch import nn


def weighted_task_losses(losses, loss_weight):
    """Scale per-task losses and add what they sum to without the weight.

    Args:
        losses (dict): ``task{i}.loss_heatmap`` and ``task{i}.loss_bbox`` scalars.
        loss_weight (float): common factor.

    Returns:
        dict: the weighted losses, and detached ``raw_heatmap`` and ``raw_bbox``.
    """
    weighted = {name: loss_weight * value for name, value in losses.items()}
    for term in ('heatmap', 'bbox'):
        weighted[f'raw_{term}'] = sum(value for name, value in losses.items() if name.endswith(f'loss_{term}')).detach()
    return weighted


@LOSSES.register_module()
class CrossHeadBoxLoss(nn.Module):
    """Teacher's boxes as CenterPoint targets for the cross predictions (the released code's response loss).

    The teacher's heatmap logits are divided by ``temperature`` (entropy minimisation), decoded and suppressed; the
    boxes become targets of the teacher head's own loss on the predictions it makes from the aligned student map.

    Args:
        temperature (float): divisor of the teacher's heatmap logits.
        score_threshold (float): lowest sharpened score of a teacher box; 0.1 at temperature 0.1 is an original score of
            0.445.
        nms (dict | None): entries that replace the teacher's ``test_cfg`` while decoding, for instance
            ``dict(nms_type='rotate', nms_thr=0.2, post_max_size=83)``.
        loss_weight (float): factor of the whole loss.
    """

    def __init__(self, *, temperature=0.1, score_threshold=0.1, nms=None, loss_weight=1.0):
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        self.temperature = temperature
        self.score_threshold = score_threshold
        self.nms = nms
        self.loss_weight = loss_weight

    def forward(self, head, cross_preds, teacher_preds, img_metas):
        """Losses of a batch.

        Args:
            head (BEVCenterHead): the teacher's frozen head.
            cross_preds: its output on the aligned student map, of ``forward`` or ``forward_lazily``.
            teacher_preds: its output on the teacher's own map.
            img_metas (list[dict]): with ``box_type_3d``.

        Returns:
            dict: ``task{i}.loss_heatmap``, ``task{i}.loss_bbox``, unweighted ``raw_heatmap`` and ``raw_bbox``, and
            ``num_boxes``, teacher boxes per sample.
        """
        detections = head.decode(
            teacher_preds,
            img_metas,
            score_threshold=self.score_threshold,
            temperature=self.temperature,
            nms=self.nms,
        )
        boxes, _, labels = zip(*detections)
        losses = head.loss(list(boxes), list(labels), cross_preds, img_metas=img_metas)
        losses = weighted_task_losses(losses, self.loss_weight)
        count = sum(len(sample) for sample in labels) / len(labels)
        losses['num_boxes'] = torch.tensor(count, device=losses['raw_bbox'].device)
        return losses
