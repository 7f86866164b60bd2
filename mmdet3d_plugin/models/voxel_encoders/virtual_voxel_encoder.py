"""Voxel features of a cloud that holds real, painted and virtual points: means, without parameters."""

from __future__ import annotations

import torch
from mmcv.runner import force_fp32
from mmdet3d.models.builder import VOXEL_ENCODERS
from torch import Tensor, nn

from ...ops.scatter import group_points, scatter_points
from ...structures.virtual_points import FLAG_COLUMN, PAINTED, POINT_COLUMNS, RAW, TIME_COLUMN

# columns of a point that each half of a voxel's vector averages
RAW_COLUMNS = [0, 1, 2, 3, 4, TIME_COLUMN]  # x, y, z, reflectance, first label, dt
OTHER_COLUMNS = list(range(FLAG_COLUMN))
TIMES = {'flag': FLAG_COLUMN, 'dt': TIME_COLUMN}


@VOXEL_ENCODERS.register_module()
class VirtualVoxelEncoder(nn.Module):
    """Mean of MVP's points (arXiv 2111.06881) in each voxel, raw points apart from painted and virtual ones.

    Columns 0 to 5 of the 23 are means over the voxel's raw points: x, y, z, reflectance, first label, dt. Columns 6 to
    22 are means over its painted and virtual points: their first 15 numbers, their time, and 1 for painted, 0 for
    virtual. A kind of which a voxel has no point is zero. That is the mean over all points divided by the kind's share,
    as published.

    Dynamic voxels: no limit on points or voxels. Points outside the range have been dropped by then, among them those
    exactly on its upper edge, to which the published code gives a voxel outside the grid.

    Args:
        virtual_time: what stands for the time of painted and virtual points in column 21: 'flag' puts their flag there
            (0 or -1), as weights of DistillBEV's release need; 'dt' puts their dt there, as MVP's own code does.
    """

    dynamic_voxels = True
    out_channels = len(RAW_COLUMNS) + len(OTHER_COLUMNS) + 2

    def __init__(self, virtual_time: str = 'flag') -> None:
        super().__init__()
        if virtual_time not in TIMES:
            raise ValueError(f"virtual_time is 'flag' or 'dt', got {virtual_time!r}")
        self.virtual_time = virtual_time
        self.fp16_enabled = False

    @force_fp32(apply_to=('features',), out_fp16=True)
    def forward(self, features: Tensor, coors: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            features: (M, 17) points of the whole batch.
            coors: (M, 4) integer (sample, z, y, x) voxel of each point, none negative.

        Returns:
            ((V, 23) voxel features, (V, 4) their (sample, z, y, x), in lexicographic order).

        Raises:
            ValueError: ``features`` with another number of columns.
        """
        if features.shape[1] != POINT_COLUMNS:
            raise ValueError(f'VirtualVoxelEncoder takes points of {POINT_COLUMNS} numbers, got {features.shape[1]}')
        groups = group_points(coors)
        flag = features[:, FLAG_COLUMN, None]
        raw = (flag == RAW).to(features.dtype)
        painted = (flag == PAINTED).to(features.dtype)
        others = torch.cat([features[:, OTHER_COLUMNS], features[:, [TIMES[self.virtual_time]]], painted], dim=1)
        halves = torch.cat([raw, 1 - raw, features[:, RAW_COLUMNS] * raw, others * (1 - raw)], dim=1)
        raw_count, other_count, raw_sum, other_sum = scatter_points(halves, groups, 'sum').split(
            [1, 1, len(RAW_COLUMNS), len(OTHER_COLUMNS) + 2], dim=1
        )
        means = torch.cat([raw_sum / raw_count.clamp(min=1), other_sum / other_count.clamp(min=1)], dim=1)
        return means, groups.coors
