"""Detection heads as parts of a graph: what comes out of a student's file, and what its reader must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..models.heads import BEVCenterHead, DETRBEVHead
from ..models.heads.center_decode import build_task_nms, logit_threshold, peak_boxes

SECONDS = 'seconds'


class CenterHeadGraph(nn.Module):
    """A CenterPoint head: its maps, or with ``decoded`` the boxes at the highest cells. Suppression is the reader's.

    Outputs per task i: ``task{i}_<branch>`` (B, c, H, W); decoded ``task{i}_boxes`` (B, K, 9) around gravity centres
    (velocities are 0 where none are predicted), ``task{i}_logits`` and ``task{i}_labels`` (B, K).
    """

    def __init__(self, head: BEVCenterHead, decoded: bool) -> None:
        super().__init__()
        self.head, self.decoded = head, decoded
        self.displacement = head.velocity_mode == 'displacement'

    @property
    def inputs(self) -> list[str]:
        """Names of what the head reads beside the map."""
        return [SECONDS] if self.decoded and self.displacement else []

    def forward(self, bev_map: Tensor, seconds: Tensor | None = None) -> dict[str, Tensor]:
        """Outputs by name, for a (B, C, H, W) map and (B,) seconds since the frame before."""
        outputs = {}
        for task, (maps,) in enumerate(self.head.predict(bev_map)):
            named = self._boxes(maps, seconds) if self.decoded else maps
            outputs.update({f'task{task}_{name}': value for name, value in named.items()})
        return outputs

    def _boxes(self, maps, seconds):
        if seconds is not None:
            maps = dict(maps, vel=maps['vel'] / seconds.view(-1, 1, 1, 1))
        boxes, logits, labels = peak_boxes(maps['heatmap'], maps, self.head.bbox_coder, self.head.norm_bbox)
        if 'vel' not in maps:
            boxes = F.pad(boxes, (0, 2))
        return dict(boxes=boxes, logits=logits, labels=labels)

    def facts(self) -> dict[str, Any]:
        """What ``dualdistill_runtime.center_decode.CenterDecoder`` is made of."""
        head, coder, settings = self.head, self.head.bbox_coder, dict(self.head.test_cfg)
        score = max(coder.score_threshold or 0.0, settings.get('score_threshold', 0.0))
        return dict(
            kind='center',
            decoded=self.decoded,
            tasks=head.tasks,
            nms=[_plain(task) for task in build_task_nms(settings, head.class_names)],
            max_num=coder.max_num,
            min_logit=max(logit_threshold(score), -1e9),
            cell=[coder.out_size_factor * float(size) for size in coder.voxel_size[:2]],
            corner=[float(value) for value in coder.pc_range[:2]],
            log_size=bool(head.norm_bbox),
            limits_before=_numbers(coder.post_center_range),
            limits_after=_numbers(settings.get('post_center_limit_range')),
            displacement=self.displacement,
        )


class QueryHeadGraph(nn.Module):
    """A DETR head: the last layer's ``logits`` (B, Q, K) and ``codes`` (B, Q, 10), or with ``decoded`` the best pairs.

    Decoded outputs: ``boxes`` (B, M, 9) around gravity centres, ``logits`` and ``labels`` (B, M).
    """

    inputs: list[str] = []

    def __init__(self, head: DETRBEVHead, decoded: bool) -> None:
        super().__init__()
        self.head, self.decoded = head, decoded

    def forward(self, bev_map: Tensor) -> dict[str, Tensor]:
        """Outputs by name, for a (B, C, H, W) map."""
        predictions = self.head.predict(bev_map)
        logits, codes = (part[-1][:, : self.head.num_query] for part in predictions)
        if not self.decoded:
            return dict(logits=logits, codes=codes)
        return dict(zip(('boxes', 'logits', 'labels'), self.head.bbox_coder.best_boxes(logits, codes)))

    def facts(self) -> dict[str, Any]:
        """What ``dualdistill_runtime.query_decode.QueryDecoder`` is made of."""
        coder = self.head.bbox_coder
        score = coder.score_threshold
        return dict(
            kind='query',
            decoded=self.decoded,
            max_num=coder.max_num,
            min_logit=None if score is None else max(logit_threshold(score), -1e9),
            limits=_numbers(coder.post_center_range),
        )


HEADS: Mapping[type, type] = {BEVCenterHead: CenterHeadGraph, DETRBEVHead: QueryHeadGraph}


def head_graph(head: nn.Module, decoded: bool) -> nn.Module:
    """The graph of a detection head.

    Raises:
        ValueError: No graph is known for this kind of head.
    """
    if type(head) not in HEADS:
        raise ValueError(
            f'pts_bbox_head: {type(head).__name__} has no ONNX graph; known are '
            f'{", ".join(kind.__name__ for kind in HEADS)}. Add one in mmdet3d_plugin/deploy/head_graphs.py'
        )
    return HEADS[type(head)](head, decoded)


def _plain(task):
    return dict(
        kind=task.kind,
        threshold=task.threshold,
        factors=list(task.factors),
        pre_max_size=task.pre_max_size,
        post_max_size=task.post_max_size,
    )


def _numbers(limits):
    return None if limits is None else [float(value) for value in limits]
