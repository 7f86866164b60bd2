"""Boxes as ten numbers, and detections from scored queries without non-maximum suppression."""

from __future__ import annotations

import torch
from mmdet.core.bbox import BaseBBoxCoder
from mmdet.core.bbox.builder import BBOX_CODERS
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from torch import Tensor

from .center_decode import inside, logit_threshold

CODE_SIZE = 10
GEOMETRY_SIZE = 8  # the numbers before the velocity


@BBOX_CODERS.register_module()
class QueryBoxCoder(BaseBBoxCoder):
    """Code of a box: (x, y, log l, log w, z, log h, sin yaw, cos yaw, vx, vy) of the gravity centre, metres and m/s.

    The order is that of published DETR3D and BEVFormer heads; l, w and yaw are mmdet3d 1.0's.

    Args:
        pc_range: (x_min, y_min, z_min, x_max, y_max, z_max), metres: what centres in [0, 1] are fractions of.
        post_center_range: the same for centres of detections; None keeps all.
        max_num: detections a sample. A query may be among them under several classes.
        score_threshold: detections have a higher score; None keeps all.
    """

    def __init__(
        self,
        pc_range: list[float],
        post_center_range: list[float] | None = None,
        max_num: int = 300,
        score_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.pc_range = [float(value) for value in pc_range]
        self.post_center_range = post_center_range
        self.max_num = max_num
        self.score_threshold = score_threshold

    def place(self, steps: Tensor, centres: Tensor) -> Tensor:
        """Codes of refined queries.

        Args:
            steps: (..., 10) outputs of a regression branch.
            centres: (..., 3) x, y, z in [0, 1] of the range; they take the place of entries 0, 1 and 4.

        Returns:
            (..., 10) codes.
        """
        low, high = centres.new_tensor(self.pc_range).split(3)
        metres = low + centres * (high - low)
        return torch.cat([metres[..., :2], steps[..., 2:4], metres[..., 2:], steps[..., 5:]], dim=-1)

    def encode(self, boxes: LiDARInstance3DBoxes) -> Tensor:
        """Codes (N, 10) float32 of boxes; a velocity that they do not have is NaN."""
        rows = boxes.tensor.float()
        z = rows[:, 2:3] + rows[:, 5:6] * 0.5
        size, yaw = rows[:, 3:6].log(), rows[:, 6:7]
        velocity = rows[:, 7:9] if rows.shape[1] >= 9 else torch.full_like(rows[:, :2], float('nan'))
        return torch.cat([rows[:, :2], size[:, :2], z, size[:, 2:], yaw.sin(), yaw.cos(), velocity], dim=1)

    def boxes(self, codes: Tensor) -> Tensor:
        """Codes (..., 10) -> (..., 9) x, y, z of the gravity centre, l, w, h, yaw, vx, vy."""
        size = torch.cat([codes[..., 2:4], codes[..., 5:6]], dim=-1).exp()
        yaw = torch.atan2(codes[..., 6], codes[..., 7])[..., None]
        return torch.cat([codes[..., :2], codes[..., 4:5], size, yaw, codes[..., 8:]], dim=-1)

    def decode(
        self, logits: Tensor, codes: Tensor, score_threshold: float | None = None, temperature: float = 1.0
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """The best (query, class) pairs of each sample.

        Args:
            logits: (B, Q, K) float32.
            codes: (B, Q, 10) float32.
            score_threshold: keep scores above it; None takes the coder's own.
            temperature: divisor of the logits in the scores; order follows the plain logits.

        Returns:
            B tuples of (N, 9) boxes with gravity centre, (N,) scores and (N,) int64 labels, best first.
        """
        score = self.score_threshold if score_threshold is None else score_threshold
        boxes, best, labels = self.best_boxes(logits, codes)
        keep = inside(boxes, self.post_center_range)
        if score is not None:
            keep &= best > logit_threshold(score, temperature)
        scores = (best / temperature).sigmoid()
        return [tuple(column[row] for column in columns) for *columns, row in zip(boxes, scores, labels, keep)]

    def best_boxes(self, logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ``max_num`` best (query, class) pairs of each sample, wherever they lie, best first.

        Args:
            logits: (B, Q, K) float32.
            codes: (B, Q, 10) float32.

        Returns:
            (B, M, 9) boxes with gravity centre, (B, M) logits and (B, M) int64 labels.
        """
        num_classes = logits.shape[-1]
        best, index = logits.flatten(1).topk(self.max_num, dim=1)
        query = torch.div(index, num_classes, rounding_mode='floor')
        boxes = self.boxes(codes.gather(1, query[..., None].expand(-1, -1, codes.shape[-1])))
        return boxes, best, index % num_classes
