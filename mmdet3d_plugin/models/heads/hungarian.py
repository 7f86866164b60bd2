"""One query for each ground-truth box, at the least total cost (DETR, 2005.12872)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmdet.core.bbox.assigners import BaseAssigner
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.match_costs.builder import MATCH_COST, build_match_cost
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .query_box_coder import GEOMETRY_SIZE

_FOCAL = dict(type='FocalLossCost', weight=2.0)
_L1 = dict(type='BoxCodeL1Cost', weight=0.25)


@MATCH_COST.register_module()
class BoxCodeL1Cost:
    """L1 distance of box codes without their velocity, which ground truth does not always know.

    Args:
        weight: factor.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, codes: Tensor, targets: Tensor) -> Tensor:
        """(P, 10) predictions and (N, 10) targets -> (P, N)."""
        return self.weight * torch.cdist(codes[:, :GEOMETRY_SIZE], targets[:, :GEOMETRY_SIZE], p=1)


@BBOX_ASSIGNERS.register_module()
class HungarianBoxAssigner(BaseAssigner):
    """Matches queries and ground truth of a sample, each decoder layer by itself.

    Args:
        cls_cost: config of a match cost on class logits; default FocalLossCost, weight 2.
        reg_cost: config of a match cost on box codes; default BoxCodeL1Cost, weight 0.25.
    """

    def __init__(self, cls_cost: Mapping[str, Any] = _FOCAL, reg_cost: Mapping[str, Any] = _L1) -> None:
        self.cls_cost = build_match_cost(dict(cls_cost))
        self.reg_cost = build_match_cost(dict(reg_cost))

    @torch.no_grad()
    def cost(self, logits: Tensor, codes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """(L, Q, N) float32 cost of giving box n to query q; arguments as :meth:`assign`."""
        cost = self.cls_cost(logits.flatten(0, 1), labels) + self.reg_cost(codes.flatten(0, 1), targets)
        return cost.view(*logits.shape[:2], len(labels))

    @torch.no_grad()
    def assign(self, logits: Tensor, codes: Tensor, labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Match one sample.

        Args:
            logits: (L, Q, K) float32.
            codes: (L, Q, 10) float32.
            labels: (N,) int64.
            targets: (N, 10) float32; the first eight numbers are finite.

        Returns:
            Queries and the boxes they get, (L, min(Q, N)) int64 each, on the device of ``logits``.
        """
        cost = self.cost(logits, codes, labels, targets)
        # a diverged network is named by its loss: the matching must not fail before that
        cost = cost.nan_to_num(nan=1e6, posinf=1e6, neginf=-1e6)
        pairs = np.array([linear_sum_assignment(layer) for layer in cost.cpu().numpy()])
        queries, boxes = torch.from_numpy(pairs).to(logits.device).unbind(dim=1)
        return queries, boxes
