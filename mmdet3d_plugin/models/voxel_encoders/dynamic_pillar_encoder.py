"""Pillar features from every point of a pillar, on CPU and CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmcv.runner import force_fp32
from mmdet3d.models.builder import VOXEL_ENCODERS
from torch import Tensor, nn

from ...ops.scatter import VoxelGroups, group_points, scatter_points

_REDUCTIONS = {'max': 'max', 'avg': 'mean'}


@VOXEL_ENCODERS.register_module()
class DynamicPillarEncoder(nn.Module):
    """PointPillars' feature net without a limit on points per pillar or on pillars.

    Each point is decorated with its offset to the mean of its pillar's points (3) and to the pillar centre
    (``center_dims``), goes through Linear, BN, ReLU, and is reduced over its pillar; layers after the first also see
    the pillar's feature. Parameter names and shapes are those of mmdet3d's DynamicPillarFeatureNet
    (``pfn_layers.0.0.weight``, ``pfn_layers.0.1.*``), which needs CUDA kernels.

    Args:
        in_channels: values per point, x, y, z (m) first.
        feat_channels: output channels of the layers.
        voxel_size: (x, y, z) metres.
        point_cloud_range: (x_min, y_min, z_min, x_max, y_max, z_max) metres.
        center_dims: 2 for the offset to the pillar centre in x, y; 3 adds z, as mmdet3d 1.0 and its checkpoints do.
        norm_cfg: normalisation of the layers.
        mode: 'max' or 'avg', reduction over a pillar.
        input_scale: factors of the ``in_channels + 3 + center_dims`` values of a decorated point. Without them metres,
            intensities up to 255 and tenths of a second reach the first layer as they are, and a short training sees
            little but the intensity. None, as in mmdet3d, scales nothing.
        age_limits: rising ages (s) between groups of points; a point's last value is its age. The last layer is reduced
            over each group on its own and the groups lie side by side, so that the network sees the same place at
            several times: ``(len(age_limits) + 1) * feat_channels[-1]`` channels, zeros where a group has no point in
            the pillar. Wants ``mode='max'``.

    Raises:
        ValueError: an argument out of its range; the text names it.
    """

    dynamic_voxels = True

    def __init__(
        self,
        in_channels: int,
        feat_channels: Sequence[int],
        voxel_size: Sequence[float],
        point_cloud_range: Sequence[float],
        center_dims: int = 2,
        norm_cfg: Mapping[str, Any] | None = None,
        mode: str = 'max',
        input_scale: Sequence[float] | None = None,
        age_limits: Sequence[float] = (),
    ) -> None:
        super().__init__()
        if center_dims not in (2, 3):
            raise ValueError(f'center_dims is 2 (x, y) or 3 (x, y, z), got {center_dims!r}')
        if mode not in _REDUCTIONS:
            raise ValueError(f"mode is 'max' or 'avg', got {mode!r}")
        self.raw_channels = in_channels
        self.in_channels = in_channels + 3 + center_dims
        if input_scale is not None and len(input_scale) != self.in_channels:
            raise ValueError(f'input_scale has {len(input_scale)} factors for {self.in_channels} values of a point')
        self.input_scale = None if input_scale is None else tuple(map(float, input_scale))
        if age_limits and (mode != 'max' or list(age_limits) != sorted(age_limits)):
            raise ValueError(f"age_limits={list(age_limits)}: give rising ages in seconds, and mode='max'")
        self.age_limits = tuple(map(float, age_limits))
        self.center_dims = center_dims
        self.mode = mode
        self.fp16_enabled = False
        self.voxel_size = tuple(float(value) for value in voxel_size)
        self.point_cloud_range = tuple(float(value) for value in point_cloud_range)
        norm_cfg = dict(type='BN1d', eps=1e-3, momentum=0.01) if norm_cfg is None else norm_cfg
        layers, channels = [], self.in_channels
        for out_channels in feat_channels:
            linear = nn.Linear(channels, out_channels, bias=False)
            layers.append(nn.Sequential(linear, build_norm_layer(norm_cfg, out_channels)[1], nn.ReLU(inplace=True)))
            channels = 2 * out_channels
        self.pfn_layers = nn.ModuleList(layers)

    @force_fp32(apply_to=('features',), out_fp16=True)
    def forward(self, features: Tensor, coors: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            features: (M, in_channels) points of the whole batch, BEV frame, metres.
            coors: (M, 4) integer (sample, z, y, x) voxel of each point, none negative.

        Returns:
            ((V, feat_channels[-1]) pillar features, once for each group of ages, (V, 4) their (sample, z, y, x), in
            lexicographic order).

        Raises:
            ValueError: ``features`` with another number of channels.
        """
        if features.shape[1] != self.raw_channels:
            raise ValueError(
                f'points have {features.shape[1]} values but the pillar encoder was built for '
                f'in_channels={self.raw_channels}'
            )
        ages = features[:, -1]
        groups = group_points(coors)
        features = self._decorate(features, coors, groups)
        if self.input_scale is not None:
            features = features * features.new_tensor(self.input_scale)
        reduce = _REDUCTIONS[self.mode]
        for depth, layer in enumerate(self.pfn_layers):
            points = layer(features)
            if depth + 1 < len(self.pfn_layers):
                features = torch.cat([points, scatter_points(points, groups, reduce)[groups.index]], dim=1)
        if self.age_limits:
            return self._reduce_by_age(points, ages, groups), groups.coors
        return scatter_points(points, groups, reduce), groups.coors

    def _reduce_by_age(self, points, ages, groups):
        """(V, (len(age_limits) + 1) * C) maxima of the point features (M, C), youngest group first."""
        count = len(self.age_limits) + 1
        group = torch.bucketize(ages.contiguous(), ages.new_tensor(self.age_limits))
        by_age = VoxelGroups(groups.coors.repeat_interleave(count, dim=0), groups.index * count + group)
        return scatter_points(points, by_age, 'max').reshape(len(groups), -1)

    def _decorate(self, features, coors, groups):
        """(M, in_channels + 3 + center_dims): raw values, offset to the cluster mean, offset to the pillar centre."""
        xyz = features[:, :3]
        to_mean = xyz - scatter_points(xyz, groups, 'mean')[groups.index]
        dims = self.center_dims
        size, low = xyz.new_tensor(self.voxel_size)[:dims], xyz.new_tensor(self.point_cloud_range)[:dims]
        cells = coors[:, 1:].flip(1)[:, :dims].to(xyz.dtype)
        to_center = xyz[:, :dims] - (low + (cells + 0.5) * size)
        return torch.cat([features, to_mean, to_center], dim=1)
