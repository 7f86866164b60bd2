"""CRD for query heads: the student's map, read with the teacher's decoder and queries, must give the teacher's boxes.

This is this project's own extension. The released code distils no responses of query heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ...models.heads.base import BEVHead, Predictions
from ...models.heads.detr_bev_head import DETRBEVHead
from ...models.heads.query_predictions import layer_groups
from ..registry import DISTILL
from .base import ResponseLoss
from .cross_head_dense import quality_focal


@DISTILL.register_module()
class CrossHeadQueryLoss(ResponseLoss):
    """Cross predictions against the teacher's, query by query and decoder layer by decoder layer.

    Both come from the same queries, so they are pairs without any matching. Classes: quality focal loss against the
    teacher's sharpened scores sigmoid(logit / temperature), summed and divided by the number of confident queries.
    Boxes: L1 of the codes with the head's code weights, weighted by the query's best sharpened score and divided by the
    sum of these; queries that are not confident have no weight.

    Args:
        temperature: divisor of the teacher's logits. Queries reach lower scores than heatmap peaks; at 0.1 only those
            above 0.445 would be confident, at 0.5 those above 0.25.
        score_threshold: sharpened score from which a query is confident.
        beta: focusing exponent of the class loss.
        bbox_weight: factor of the box loss.
        loss_weight: factor of the whole loss.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.5,
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

    def check_head(self, head: BEVHead) -> None:
        """Only a query head pairs its predictions by itself."""
        if not isinstance(head, DETRBEVHead):
            raise ValueError(
                f'CrossHeadQueryLoss compares the queries of a DETRBEVHead, the teacher head is {type(head).__name__}: '
                f'take CrossHeadBoxLoss'
            )

    def terms(
        self, head: BEVHead, cross: Predictions, teacher: Predictions, metas: Sequence[Mapping[str, Any]]
    ) -> dict[str, Tensor]:
        """``cls`` and ``bbox`` of the last layer, ``d{i}.*`` of the others; ``num_boxes``, confident queries a sample.

        The count is the last layer's.
        """
        terms = {}
        weights = teacher.codes.new_tensor(cast(DETRBEVHead, head).code_weights, dtype=torch.float32)
        for group, ours, our_codes, theirs, their_codes in zip(layer_groups(len(teacher.logits)), *cross, *teacher):
            target = (theirs.detach().float() / self.temperature).sigmoid()
            confidence = target.amax(dim=-1)
            confidence = confidence * (confidence > self.score_threshold)
            count = (confidence > 0).sum()
            gap = ((our_codes.float() - their_codes.detach().float()).abs() * weights).sum(dim=-1)
            terms[f'{group}cls'] = quality_focal(ours.float(), target, self.beta).sum() / count.clamp(min=1)
            # the small constant only matters without confident queries, where the numerator is zero as well
            terms[f'{group}bbox'] = self.bbox_weight * (gap * confidence).sum() / (confidence.sum() + 1e-4)
        terms['num_boxes'] = count / len(metas)
        return terms
