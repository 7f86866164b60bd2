"""DETR head on a BEV map: queries, Hungarian matching, boxes without suppression (BEVFormer, 2203.17270)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import bias_init_with_prob
from mmcv.runner import BaseModule
from mmdet.core import reduce_mean
from mmdet.core.bbox.builder import build_assigner, build_bbox_coder
from mmdet.models.utils.builder import build_transformer
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models.builder import HEADS, build_loss
from torch import Tensor, nn

from ...structures import BEVGrid, BEVLevel, Detections
from .base import BEVHead
from .copy_weights import copy_weights
from .query_box_coder import CODE_SIZE
from .query_branches import class_branch, regression_branch
from .query_confidence import draw_boxes
from .query_predictions import QueryPredictions, layer_groups
from .query_targets import query_targets, usable_objects

_PRIOR = 0.01  # score of an untrained query


@HEADS.register_module()
class DETRBEVHead(BEVHead, BaseModule):
    """Object queries look at the BEV map; each says class and box after every decoder layer.

    Weights are named as in published BEVFormer checkpoints, without the parts of the BEV encoder. Everything runs in
    float32.

    Args:
        in_channels: C, channels of the BEV map and width of the queries.
        class_names: K classes in label order.
        bbox_coder: config of a :class:`QueryBoxCoder`.
        transformer: config of a :class:`QueryTransformer`; its ``embed_dims`` are ``in_channels``.
        num_query: Q, queries.
        num_groups: G, sets of Q queries in training, each matched by itself, so that a box teaches G queries a step
            (Group DETR, 2207.13085). The first set alone answers at test, at no further cost.
        num_reg_fcs: hidden layers of the branches.
        loss_cls: config of mmdet's focal loss; its normaliser is the number of matched queries.
        loss_bbox: config of an L1 loss on box codes.
        code_weights: weight of each of the ten numbers in ``loss_bbox``.
        train_cfg: dict(assigner=...), see :class:`HungarianBoxAssigner`; None for a head that is never trained.
        test_cfg: nothing; ``bbox_coder`` holds what decoding needs.
        init_cfg: mmcv initialisation.

    Raises:
        ValueError: settings that nothing reads or that contradict each other.
    """

    class_parts = ('cls_branches',)

    def __init__(
        self,
        in_channels: int,
        class_names: Sequence[str],
        bbox_coder: Mapping[str, Any],
        transformer: Mapping[str, Any] = dict(type='QueryTransformer'),  # noqa: B006 (read only)
        num_query: int = 900,
        num_groups: int = 1,
        num_reg_fcs: int = 2,
        loss_cls: Mapping[str, Any] = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),  # noqa: B006
        loss_bbox: Mapping[str, Any] = dict(type='L1Loss', loss_weight=0.25),  # noqa: B006
        code_weights: Sequence[float] = (1.0,) * 8 + (0.2,) * 2,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.num_classes = in_channels, len(class_names)
        self.num_query, self.num_groups = num_query, num_groups
        self.class_names = list(class_names)
        self.bbox_coder = build_bbox_coder(copy.deepcopy(bbox_coder))
        self._check_settings(transformer, code_weights, train_cfg, test_cfg)
        self.query_embedding = nn.Embedding(num_groups * num_query, 2 * in_channels)
        self.transformer = build_transformer(copy.deepcopy(transformer), dict(embed_dims=in_channels))
        layers = range(self.transformer.decoder.num_layers)
        self.cls_branches = nn.ModuleList(class_branch(in_channels, self.num_classes, num_reg_fcs) for _ in layers)
        self.reg_branches = nn.ModuleList(regression_branch(in_channels, CODE_SIZE, num_reg_fcs) for _ in layers)
        self.loss_cls, self.loss_bbox = build_loss(dict(loss_cls)), build_loss(dict(loss_bbox))
        self.assigner = build_assigner(copy.deepcopy(train_cfg['assigner'])) if train_cfg else None
        self.code_weights = [float(weight) for weight in code_weights]

    def _check_settings(self, transformer, code_weights, train_cfg, test_cfg):
        if 'embed_dims' in transformer:
            raise ValueError('transformer of DETRBEVHead: embed_dims come from in_channels, remove them')
        for name, settings, known in (('train_cfg', train_cfg, {'assigner'}), ('test_cfg', test_cfg, set())):
            if settings and set(settings) != known:
                takes = 'assigner' if known else 'nothing, bbox_coder holds what decoding needs'
                raise ValueError(f'{name} of DETRBEVHead takes {takes}, got {sorted(settings)}')
        if len(code_weights) != CODE_SIZE:
            raise ValueError(f'code_weights of DETRBEVHead needs {CODE_SIZE} numbers, got {list(code_weights)}')
        scores = self.num_query * self.num_classes
        if self.bbox_coder.max_num > scores:
            raise ValueError(
                f'bbox_coder.max_num is {self.bbox_coder.max_num}, but {self.num_query} queries of {self.num_classes} '
                f'classes give {scores} scores: lower it'
            )

    def init_weights(self) -> None:
        """Initialise the transformer, and let every class start at a score of 0.01."""
        super().init_weights()
        for branch in self.cls_branches:
            *_, bias = branch.parameters()
            nn.init.constant_(bias, bias_init_with_prob(_PRIOR))

    @property
    def classes(self) -> list[str]:
        """Class names in label order."""
        return list(self.class_names)

    @property
    def can_train(self) -> bool:
        """Whether the head was given a train_cfg."""
        return self.assigner is not None

    def meaning(self) -> dict[str, Any]:
        """The range that centres are fractions of (x, y, z minima, then maxima; metres)."""
        return dict(box_range=list(self.bbox_coder.pc_range))

    def check_input(self, level: BEVLevel) -> None:
        """Channels and extent of the map must be the head's."""
        if level.channels != self.in_channels:
            raise ValueError(f'the head takes {self.in_channels} channels but the BEV map is {level}')
        if not level.grid.covers_same(BEVGrid.from_range(self.bbox_coder.pc_range, *level.grid.size)):
            raise ValueError(
                f'bbox_coder.pc_range is {self.bbox_coder.pc_range} m, the BEV map covers {level.grid}: make x and y '
                f'the same'
            )

    def predict(self, bev_map: Tensor, metas: Sequence[Mapping[str, Any]] | None = None) -> QueryPredictions:
        """Classes and boxes of all queries and layers, on a (B, C, H, W) map; of all groups in training."""
        groups = self.num_groups if self.training else 1
        queries = self.query_embedding.weight[: groups * self.num_query]
        with torch.autocast(bev_map.device.type, enabled=False):
            refined = self.transformer(queries, bev_map.float(), self.reg_branches, groups)
            logits = torch.stack([branch(layer) for branch, layer in zip(self.cls_branches, refined.hidden)])
            return QueryPredictions(logits, self.bbox_coder.place(refined.steps, refined.centres))

    @torch.no_grad()
    def check_decoding(self, **options: Any) -> None:
        """No option is taken."""
        if options:
            raise ValueError(f'DETRBEVHead has nothing to suppress: leave out {sorted(options)}')

    def decode(
        self,
        predictions: QueryPredictions,
        metas: Sequence[Mapping[str, Any]],
        *,
        score_threshold: float | None = None,
        temperature: float = 1.0,
        **options: Any,
    ) -> list[Detections]:
        """The last layer's best (query, class) pairs, best first; no suppression of neighbours is needed.

        Args:
            predictions: output of :meth:`predict`; left as it is.
            metas: B dicts with ``box_type_3d``.
            score_threshold: keep scores above it; None takes bbox_coder's.
            temperature: divisor of the class logits in the scores.
            options: none.

        Raises:
            ValueError: an option that another kind of head takes, such as ``nms``.
        """
        self.check_decoding(**options)
        last = self._answer(predictions)
        results = []
        for (boxes, scores, labels), meta in zip(self.bbox_coder.decode(*last, score_threshold, temperature), metas):
            boxes[:, 2] -= boxes[:, 5] * 0.5
            results.append(Detections(meta['box_type_3d'](boxes, boxes.shape[1]), scores, labels))
        return results

    def _answer(self, predictions):
        """Logits (B, Q, K) and codes (B, Q, 10) of the last layer and the first group, float32."""
        return [part[-1][:, : self.num_query].float() for part in predictions]

    def loss(
        self,
        predictions: QueryPredictions,
        boxes: Sequence[LiDARInstance3DBoxes],
        labels: Sequence[Tensor],
        metas: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Tensor]:
        """Focal loss of all queries and L1 loss of the matched ones, per decoder layer.

        Both are divided by the matched queries of a process, averaged over processes. An unknown (NaN) velocity costs
        nothing. Groups count like further samples, so the loss is their mean.

        Args:
            predictions: output of :meth:`predict`; left as it is.
            boxes: of each sample; one may have none.
            labels: B int64 tensors.
            metas: unused.

        Returns:
            ``loss_cls`` and ``loss_bbox`` of the last layer, ``d{i}.loss_cls`` and ``d{i}.loss_bbox`` of the others.
        """
        if self.assigner is None:
            raise ValueError('this DETRBEVHead was built without train_cfg: it cannot match queries and boxes')
        device = predictions.logits.device
        with torch.autocast(device.type, enabled=False):
            objects = [usable_objects(*pair, self.bbox_coder, self.num_classes, device) for pair in zip(boxes, labels)]
            groups = predictions.logits.shape[2] // self.num_query
            objects = [item for item in objects for _ in range(groups)]
            # a group is matched like a sample of its own: (L, B, G * Q, ...) -> (L, B * G, Q, ...)
            apart = (part.float().unflatten(2, (groups, self.num_query)).flatten(1, 2) for part in predictions)
            predictions = QueryPredictions(*apart)
            targets = query_targets(predictions, objects, self.assigner)
            count = reduce_mean(torch.tensor(float(targets.num_matched), device=device)).clamp(min=1)
            losses = {}
            for layer, group in enumerate(layer_groups(len(predictions.logits))):
                for name, value in self._layer_losses(predictions, targets, layer, count).items():
                    losses[group + name] = value
        return losses

    def _layer_losses(self, predictions, targets, layer, count):
        logits, labels = predictions.logits[layer].flatten(0, 1), targets.labels[layer].flatten()
        weight = targets.known[layer] * targets.known.new_tensor(self.code_weights)
        return dict(
            loss_cls=self.loss_cls(logits, labels, avg_factor=count),
            loss_bbox=self.loss_bbox(predictions.codes[layer], targets.codes[layer], weight, avg_factor=count),
        )

    @torch.no_grad()
    def confidence(self, predictions: QueryPredictions, grid: BEVGrid) -> Tensor:
        """Gaussian peaks as tall as the best class score of each of the last layer's boxes, (B, H, W) float32."""
        logits, codes = self._answer(predictions)
        return draw_boxes(list(self.bbox_coder.boxes(codes)), list(logits.sigmoid().amax(dim=-1)), grid)

    @torch.no_grad()
    def target_confidence(
        self, boxes: Sequence[LiDARInstance3DBoxes], labels: Sequence[Tensor], grid: BEVGrid
    ) -> Tensor:
        """Peaks of height 1 at ground truth, (B, H, W) float32, on the labels' device."""
        device = labels[0].device
        codes = [usable_objects(*pair, self.bbox_coder, self.num_classes, device)[1] for pair in zip(boxes, labels)]
        scores = [code.new_ones(len(code)) for code in codes]
        return draw_boxes([self.bbox_coder.boxes(code) for code in codes], scores, grid)

    def inheritable(self) -> dict[str, nn.Module]:
        """Parts that another head may start from, by name."""
        return dict(
            branches=nn.ModuleList([self.cls_branches, self.reg_branches]),
            decoder=self.transformer.decoder,
            queries=self.query_embedding,
            reference_points=self.transformer.reference_points,
        )

    def inherit(self, other: BEVHead, parts: Sequence[str] | None = None) -> None:
        """Start from parts of another DETRBEVHead; by default its decoder and its branches, with queries of our own.

        Args:
            other: the teacher's head.
            parts: of ``branches``, ``decoder``, ``queries`` and ``reference_points``.

        Raises:
            ValueError: another kind of head, an unknown part, another range of centres, or sizes that differ.
        """
        if not isinstance(other, DETRBEVHead):
            return super().inherit(other, parts)
        if self.meaning() != other.meaning():
            raise ValueError(
                f'inherit_head: the student head places boxes in {self.bbox_coder.pc_range} m, the teacher head in '
                f'{other.bbox_coder.pc_range} m: make bbox_coder.pc_range the same or set inherit_head=False'
            )
        ours, theirs = self.inheritable(), other.inheritable()
        for part in ('branches', 'decoder') if parts is None else parts:
            if part not in ours:
                raise ValueError(f'inherit_head: DETRBEVHead has no part {part!r}, it has {", ".join(ours)}')
            copy_weights(part, ours[part], theirs[part])
