"""What each query of each decoder layer should say about a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from torch import Tensor

from .hungarian import HungarianBoxAssigner
from .query_box_coder import GEOMETRY_SIZE, QueryBoxCoder
from .query_predictions import QueryPredictions


class QueryTargets(NamedTuple):
    """Targets of one batch.

    Attributes:
        labels: (L, B, Q) int64; the number of classes for a query without a box.
        codes: (L, B, Q, 10) float32; zero where ``known`` is.
        known: (L, B, Q, 10) float32, 1 for the numbers that a matched query should reach, else 0.
        num_matched: matched queries of the batch; the same in each layer.
    """

    labels: Tensor
    codes: Tensor
    known: Tensor
    num_matched: int


def usable_objects(
    boxes: LiDARInstance3DBoxes, labels: Tensor, coder: QueryBoxCoder, num_classes: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Labels (N,) and codes (N, 10) of a sample's boxes, without those of no class or of no size."""
    codes, labels = coder.encode(boxes).to(device), labels.to(device).long()
    keep = codes[:, :GEOMETRY_SIZE].isfinite().all(dim=1) & (labels >= 0) & (labels < num_classes)
    return labels[keep], codes[keep]


def query_targets(
    predictions: QueryPredictions, objects: Sequence[tuple[Tensor, Tensor]], assigner: HungarianBoxAssigner
) -> QueryTargets:
    """Match a batch.

    Args:
        predictions: float32, of L layers and B samples.
        objects: labels and codes of each sample, see :func:`usable_objects`.
        assigner: matches one sample.
    """
    logits, codes = (part.detach() for part in predictions)
    labels = torch.full(logits.shape[:3], logits.shape[3], dtype=torch.long, device=logits.device)
    targets, known, num_matched = torch.zeros_like(codes), torch.zeros_like(codes), 0
    layers = torch.arange(len(logits), device=logits.device)[:, None]
    for sample, (own_labels, own_codes) in enumerate(objects):
        if not len(own_labels):
            continue
        queries, boxes = assigner.assign(logits[:, sample], codes[:, sample], own_labels, own_codes)
        matched = own_codes[boxes]
        labels[layers, sample, queries] = own_labels[boxes]
        told = matched.isfinite()
        targets[layers, sample, queries] = torch.where(told, matched, torch.zeros_like(matched))
        known[layers, sample, queries] = told.to(known)
        num_matched += queries.shape[1]
    return QueryTargets(labels, targets, known, num_matched)
