"""CenterPoint head for LiDAR and camera BEV maps: displacement targets, per-task scale-NMS, no side effects."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models.builder import HEADS
from mmdet3d.models.dense_heads import CenterHead
from torch import Tensor, nn

from ...structures import BEVGrid, BEVLevel, Detections
from .base import BEVHead
from .center_decode import build_task_nms, decode_peaks, inside, logit_threshold
from .center_grid import check_center_grid
from .center_targets import CenterTargetEncoder, CenterTargets, check_coder
from .copy_weights import copy_weights
from .lazy_predictions import LazyPredictions, TaskPredictions, can_be_lazy, read_cells
from .task_branches import can_be_joined, run_task_heads

_REGRESSION = ('reg', 'height', 'dim', 'rot', 'vel')
_HEATMAP_EPS = 1e-4


@HEADS.register_module()
class BEVCenterHead(BEVHead, CenterHead):
    """mmdet3d's CenterHead, same parameters and checkpoint keys, with its own targets, loss and decoding.

    Differences: nothing passed in is changed (configs, predictions); losses and decoding run in float32; the velocity
    channel may hold a displacement; NMS type, threshold and size factors per task; unlabelled (NaN) velocities are left
    out of the loss instead of making it NaN.

    Args:
        in_channels: channels of the BEV map.
        tasks: list of dict(class_names=[...]), in label order.
        bbox_coder: mmdet3d's CenterPointBBoxCoder config; holds the geometry, ``max_num`` and ``score_threshold``.
        common_heads: regression maps, name -> (channels, convolutions).
        train_cfg: see ``center_targets.SETTING_KEYS``; None for a head that is never trained.
        test_cfg: see ``center_decode.build_task_nms``; None for a head that never decodes.
        velocity_mode: 'velocity': the ``vel`` channels are m/s. 'displacement': metres moved in ``frame_dt`` seconds,
            the time between the two camera frames, read from ``img_metas``.
        kwargs: CenterHead's other arguments (``share_conv_channel``, ``separate_head``, ``loss_cls``, ...).

    Raises:
        ValueError: unknown ``velocity_mode``, displacement without ``vel``, bad train_cfg or test_cfg keys, or
            different grids in train_cfg and bbox_coder.
    """

    def __init__(
        self,
        in_channels: int,
        tasks: Sequence[Mapping[str, Any]],
        bbox_coder: Mapping[str, Any],
        common_heads: Mapping[str, tuple[int, int]],
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        velocity_mode: str = 'velocity',
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('separate_head', dict(type='SeparateHead', init_bias=-2.19, final_kernel=3))
        kwargs.update(tasks=tasks, bbox_coder=bbox_coder, common_heads=common_heads)
        kwargs.update(train_cfg=train_cfg, test_cfg=test_cfg)
        super().__init__(in_channels=in_channels, **copy.deepcopy(kwargs))
        if velocity_mode not in ('velocity', 'displacement'):
            raise ValueError(f"velocity_mode is 'velocity' or 'displacement', got {velocity_mode!r}")
        if velocity_mode == 'displacement' and not self.with_velocity:
            raise ValueError("velocity_mode='displacement' needs 'vel' in common_heads")
        self.velocity_mode = velocity_mode
        self._encoder = None
        if train_cfg is not None:
            self._encoder = CenterTargetEncoder(self.num_classes, self.train_cfg, self.norm_bbox, self.with_velocity)
            check_coder(self.train_cfg, self.bbox_coder)
        if test_cfg is not None:
            build_task_nms(self.test_cfg, self.class_names)

    def init_weights(self) -> None:
        """Start every heatmap at a low probability (``init_bias``).

        mmdet3d means to, but its recursion stops at the plain ModuleList of task heads, and an untrained heatmap at 0.5
        makes the first focal losses hundreds of times too large.
        """
        super().init_weights()
        for task_head in self.task_heads:
            nn.init.constant_(task_head.heatmap[-1].bias, task_head.init_bias)

    def forward_single(self, x: Tensor) -> list[dict[str, Tensor]]:
        """(B, in_channels, H, W) -> list of one dict per task, branch name -> (B, c, H, W)."""
        return run_task_heads(self.task_heads, self.shared_conv(x))

    @property
    def classes(self) -> list[str]:
        """Class names over all tasks, in label order."""
        return [name for names in self.class_names for name in names]

    @property
    def tasks(self) -> list[list[str]]:
        """Class names by task."""
        return [list(names) for names in self.class_names]

    class_parts = ('task_heads',)

    def meaning(self) -> dict[str, Any]:
        """Edges of a cell of the maps (x, y; metres), and what the velocity channels hold."""
        coder = self.bbox_coder
        cell = [float(size) * coder.out_size_factor for size in coder.voxel_size[:2]]
        return dict(bev_cell=cell, velocity_mode=self.velocity_mode)

    @property
    def can_train(self) -> bool:
        """Whether the head was given a train_cfg."""
        return self._encoder is not None

    def check_input(self, level: BEVLevel) -> None:
        """Channels, target grid and box coder must fit the map."""
        check_center_grid(self, level)

    @property
    def confidence_grid(self) -> BEVGrid | None:
        """The heatmaps' own cells, told by train_cfg; None without one."""
        if not self.can_train:
            return None
        factor = self.train_cfg['out_size_factor']
        width, height = (int(size) // factor for size in self.train_cfg['grid_size'][:2])
        return BEVGrid.from_range(self.train_cfg['point_cloud_range'], height, width)

    def predict(self, bev_map: Tensor, metas: Sequence[Mapping[str, Any]] | None = None) -> TaskPredictions:
        """(B, in_channels, H, W) -> tuple: per task a list with one dict, branch name -> (B, c, H, W)."""
        return self([bev_map])

    def predict_lazily(self, bev_map: Tensor, metas: Sequence[Mapping[str, Any]] | None = None) -> TaskPredictions:
        """:meth:`predict` for a caller who reads the regression at a few cells, as :meth:`loss` does.

        Returns:
            per task a list with one mapping; :class:`LazyPredictions` unless the head's layers forbid it or all
            its branches are one convolution, which costs less than anything lazy.
        """
        if can_be_joined(self.task_heads) or not can_be_lazy(self.task_heads):
            return self([bev_map])
        feature = self.shared_conv(bev_map)
        heatmaps = run_task_heads(self.task_heads, feature, only='heatmap')
        return tuple([LazyPredictions(head, feature, **maps)] for head, maps in zip(self.task_heads, heatmaps))

    def _frame_dt(self, img_metas, batch_size):
        """(B, 1) seconds between the two frames of each sample."""
        if img_metas is None or any('frame_dt' not in meta for meta in img_metas):
            raise ValueError("velocity_mode='displacement' needs img_metas with 'frame_dt' (seconds) for every sample")
        values = [float(meta['frame_dt']) for meta in img_metas]
        if len(values) != batch_size or min(values) <= 0:
            raise ValueError(f'frame_dt must be positive, one for each of {batch_size} samples, got {values}')
        return torch.tensor(values)[:, None]

    def _targets(self, gt_bboxes_3d, gt_labels_3d):
        if self._encoder is None:
            raise ValueError('this BEVCenterHead was built without train_cfg: it cannot make targets')
        return self._encoder(gt_bboxes_3d, gt_labels_3d)

    def encode_targets(
        self,
        gt_bboxes_3d: Sequence[LiDARInstance3DBoxes],
        gt_labels_3d: Sequence[Tensor],
        img_metas: Sequence[Mapping[str, Any]] | None = None,
    ) -> CenterTargets:
        """Targets of a batch, velocity channels in this head's ``velocity_mode``.

        Args:
            gt_bboxes_3d: list of B LiDARInstance3DBoxes (x, y, z, l, w, h, yaw, vx, vy), metres, radians, m/s.
            gt_labels_3d: list of B int64 label tensors, class indices over all tasks.
            img_metas: list of B dicts with ``frame_dt``; used in displacement mode only.
        """
        targets = self._targets(gt_bboxes_3d, gt_labels_3d)
        if self.velocity_mode == 'displacement':
            seconds = self._frame_dt(img_metas, len(gt_labels_3d))[..., None]
            for boxes in targets.boxes:
                boxes[..., 8:10] *= seconds.to(boxes)
        return targets

    def get_targets(
        self,
        gt_bboxes_3d: Sequence[LiDARInstance3DBoxes],
        gt_labels_3d: Sequence[Tensor],
        img_metas: Sequence[Mapping[str, Any]] | None = None,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """(heatmaps, boxes, indices, masks), lists over tasks, as mmdet3d's CenterHead; masks are bool."""
        targets = self.encode_targets(gt_bboxes_3d, gt_labels_3d, img_metas)
        return targets.heatmaps, targets.boxes, targets.indices, targets.masks

    def heatmap_targets(self, gt_boxes: Sequence[LiDARInstance3DBoxes], gt_labels: Sequence[Tensor]) -> list[Tensor]:
        """Ground-truth heatmaps, one (B, classes of the task, H, W) float32 tensor per task, peaks exactly 1.

        Args:
            gt_boxes: list of B LiDARInstance3DBoxes.
            gt_labels: list of B int64 label tensors; the maps are made on their device.
        """
        return self._targets(gt_boxes, gt_labels).heatmaps

    def confidence(self, predictions: TaskPredictions, grid: BEVGrid) -> Tensor:
        """Best class of the heatmaps after the sigmoid, (B, H, W) float32.

        Raises:
            ValueError: ``grid`` is not that of the heatmaps.
        """
        heatmap = torch.cat([preds['heatmap'].detach() for (preds,) in predictions], dim=1)
        self._check_confidence_grid(tuple(heatmap.shape[2:]), grid)
        return heatmap.float().sigmoid().amax(dim=1)

    def target_confidence(
        self, boxes: Sequence[LiDARInstance3DBoxes], labels: Sequence[Tensor], grid: BEVGrid
    ) -> Tensor:
        """Best class of the target heatmaps, (B, H, W) float32, on the labels' device."""
        heatmap = torch.cat(self.heatmap_targets(boxes, labels), dim=1)
        self._check_confidence_grid(tuple(heatmap.shape[2:]), grid)
        return heatmap.amax(dim=1)

    @staticmethod
    def _check_confidence_grid(size, grid):
        if size != grid.size:
            raise ValueError(f'heatmaps are {size[0]}x{size[1]} cells, the level has {grid}')

    def inherit(self, other: BEVHead, parts: Sequence[str] | None = None) -> None:
        """Start from another head's task heads (or other ``parts``), so that the student starts where CRD leads.

        Raises:
            ValueError: names the parameters that differ in name or shape.
        """
        for part in parts or ('task_heads',):
            ours, theirs = (getattr(head, part, None) for head in (self, other))
            if ours is None or theirs is None:
                side = 'student' if ours is None else 'teacher'
                raise ValueError(f'inherit_head: the {side} head {type(ours or theirs).__name__} has no part {part!r}')
            copy_weights(part, ours, theirs)

    def loss(
        self,
        predictions: TaskPredictions,
        boxes: Sequence[LiDARInstance3DBoxes],
        labels: Sequence[Tensor],
        metas: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Tensor]:
        """Gaussian focal loss on heatmaps and L1 on the regression at object cells, per task, in float32.

        Mind the order: mmdet3d's own ``loss`` takes the predictions last.

        Args:
            predictions: output of :meth:`predict` or :meth:`predict_lazily`; left as it is.
            boxes, labels, metas: see :meth:`encode_targets`.

        Returns:
            ``task{i}.loss_heatmap`` and ``task{i}.loss_bbox`` scalars.
        """
        device = predictions[0][0]['heatmap'].device
        targets = self.encode_targets(boxes, [item.to(device) for item in labels], metas)
        losses = {}
        with torch.autocast(device.type, enabled=False):
            for task, (preds,) in enumerate(predictions):
                heatmap = preds['heatmap'].float().sigmoid().clamp(_HEATMAP_EPS, 1 - _HEATMAP_EPS)
                peaks = targets.heatmaps[task]
                positives = peaks.eq(1).sum().clamp(min=1).float()
                losses[f'task{task}.loss_heatmap'] = self.loss_cls(heatmap, peaks, avg_factor=positives)
                losses[f'task{task}.loss_bbox'] = self._box_loss(preds, targets, task)
        return losses

    def _box_loss(self, preds, targets, task):
        names = [name for name in _REGRESSION if name in preds]
        pred = read_cells(preds, names, targets.indices[task], targets.masks[task])
        target = targets.boxes[task]
        mask = targets.masks[task][..., None] & ~target.isnan()
        weight = mask * pred.new_tensor(self.train_cfg['code_weights'])
        count = targets.masks[task].sum() + 1e-4
        return self.loss_bbox(pred, torch.where(mask, target, torch.zeros_like(target)), weight, avg_factor=count)

    def get_bboxes(
        self,
        preds_dicts: TaskPredictions,
        img_metas: Sequence[Mapping[str, Any]],
        img: Any = None,
        rescale: bool = False,
    ) -> list[list[Any]]:
        """mmdet3d's name for :meth:`decode`; ``img`` and ``rescale`` are unused, as there."""
        return [list(result) for result in self.decode(preds_dicts, img_metas)]

    @torch.no_grad()
    def check_decoding(self, *, nms: Mapping[str, Any] | None = None) -> None:  # type: ignore[override]
        """Whether there is a ``test_cfg``, and entries that replace some of it are right."""
        self._suppression(nms)

    def _suppression(self, nms):
        """test_cfg with entries replaced, and the suppression of each task."""
        if self.test_cfg is None:
            raise ValueError('this BEVCenterHead was built without test_cfg: it cannot decode')
        settings = {**self.test_cfg, **(nms or {})}
        return settings, build_task_nms(settings, self.class_names)

    def decode(  # type: ignore[override]  # of all options there may be, this head has one
        self,
        predictions: TaskPredictions,
        metas: Sequence[Mapping[str, Any]],
        *,
        score_threshold: float | None = None,
        temperature: float = 1.0,
        nms: Mapping[str, Any] | None = None,
    ) -> list[Detections]:
        """Boxes of a batch in float32, without gradients.

        Args:
            predictions: output of :meth:`predict`; left as it is.
            metas: list of B dicts with ``box_type_3d`` and, in displacement mode, ``frame_dt`` (s).
            score_threshold: keep boxes whose score is above it; None takes the larger of bbox_coder's and test_cfg's.
            temperature: heatmap logits are divided by it before the sigmoid, so scores are sharpened below 1. The
                threshold acts on sharpened scores: 0.1 with temperature 0.1 keeps original scores above 0.445. Order
                and NMS follow the plain logits, which stay apart where sharpened scores round to 1.
            nms: dict of test_cfg entries to replace for this call, e.g. dict(nms_type='rotate', nms_thr=0.2,
                nms_rescale_factor=1.0).

        Returns:
            one a sample, labels over all tasks, ordered by task, then by falling score.
        """
        settings, task_nms = self._suppression(nms)
        if score_threshold is None:
            score_threshold = max(self.bbox_coder.score_threshold or 0.0, settings.get('score_threshold', 0.0))
        samples: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in metas]
        first_label = 0
        for task, (preds,) in enumerate(predictions):
            peaks = self._peaks(preds, metas, logit_threshold(score_threshold, temperature))
            for sample, (boxes, logits, labels) in zip(samples, peaks):
                keep = task_nms[task](boxes, logits, labels)
                keep = keep[inside(boxes[keep], settings.get('post_center_limit_range'))]
                sample.append((boxes[keep], (logits[keep] / temperature).sigmoid(), labels[keep] + first_label))
            first_label += self.num_classes[task]
        return [self._merge(sample, meta) for sample, meta in zip(samples, metas)]

    def _peaks(self, preds, img_metas, min_logit):
        preds = {name: value.detach().float() for name, value in preds.items()}
        if self.velocity_mode == 'displacement':
            seconds = self._frame_dt(img_metas, len(preds['vel'])).to(preds['vel'])
            preds['vel'] = preds['vel'] / seconds[..., None, None]
        return decode_peaks(preds['heatmap'], preds, self.bbox_coder, self.norm_bbox, min_logit)

    def _merge(self, tasks, meta):
        boxes, scores, labels = (torch.cat(column) for column in zip(*tasks))
        boxes[:, 2] -= boxes[:, 5] * 0.5
        return Detections(meta['box_type_3d'](boxes, boxes.shape[1]), scores, labels)
