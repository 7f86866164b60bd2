"""Build-time checks that the sizes of a LidarFormer's voxels and maps fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...structures import BEVLevel
from .neck_check import check_neck_fits

if TYPE_CHECKING:
    from .lidarformer import LidarFormer


def check_parts_fit(detector: LidarFormer, stages: Sequence[BEVLevel]) -> None:
    """Raise ValueError unless each part takes what the part before gives.

    Args:
        detector: to check.
        stages: planned map of each stage of its backbone.
    """
    _check_voxels(detector)
    middle, backbone, neck = detector.pts_middle_encoder, detector.pts_backbone, detector.pts_neck
    takes = backbone.blocks[0][0].in_channels
    if takes != middle.bev_channels:
        raise ValueError(
            f'pts_backbone.in_channels is {takes} but pts_middle_encoder makes a map of {middle.bev_channels} channels'
        )
    channels = [stage.channels for stage in stages]
    if list(neck.in_channels) != channels:
        raise ValueError(f'pts_neck.in_channels is {list(neck.in_channels)} but the stages have {channels} channels')
    check_neck_fits('pts_neck', neck, detector.bev_encoder.num_levels, detector.bev_encoder.embed_dims)


def _check_voxels(detector):
    middle = detector.pts_middle_encoder
    grid_x, grid_y, grid_z = (int(size) for size in detector.pts_voxel_layer.grid_size)
    size_z, *size_yx = middle.sparse_shape
    if size_yx != [grid_y, grid_x] or size_z < grid_z:
        raise ValueError(
            f'pts_middle_encoder.sparse_shape is {middle.sparse_shape} (z, y, x) but pts_voxel_layer makes '
            f'{(grid_z, grid_y, grid_x)} voxels: y and x must be equal, z may be larger'
        )
    detector.check_voxel_encoder(dynamic='VirtualVoxelEncoder', limited='HardSimpleVFE')
