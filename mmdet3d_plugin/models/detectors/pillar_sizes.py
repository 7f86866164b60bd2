"""Sizes of a pillar detector's BEV maps from its modules alone, and build-time checks that the modules fit."""

from mmdet3d.models.backbones import SECOND
from mmdet3d.models.necks import SECONDFPN
from torch import nn

from ...structures import BEVLevel
from .base import named_stages
from .voxel_detector import VoxelDetector


def plan_levels(canvas: BEVLevel, backbone: SECOND, neck: SECONDFPN) -> dict[str, BEVLevel]:
    """BEV maps of a SECOND backbone and a SECONDFPN neck.

    Args:
        canvas: the backbone's input.
        backbone: each block starts with the convolution that sets its stride and channels.
        neck: each branch starts with the layer that sets its scale, outputs are concatenated.

    Returns:
        'backbone0', 'backbone1', ..., 'head' -> its level.

    Raises:
        ValueError: neck branches of different sizes.
    """
    stages = plan_stages(canvas, backbone)
    outputs = [_after(branch[0], stage) for stage, branch in zip(stages, neck.deblocks)]
    if len({(output.height, output.width) for output in outputs}) != 1:
        raise ValueError(f'pts_neck: upsample_strides give maps of different sizes: {", ".join(map(str, outputs))}')
    return named_stages(stages, head=outputs[0].resized(sum(output.channels for output in outputs)))


def plan_stages(canvas: BEVLevel, backbone: SECOND) -> list[BEVLevel]:
    """BEV maps of a SECOND backbone on ``canvas``, see :func:`plan_levels`."""
    level, stages = canvas, []
    for block in backbone.blocks:
        level = _after(block[0], level)
        stages.append(level)
    return stages


def _after(layer, level):
    """BEVLevel after a (transposed) convolution without dilation or output padding."""
    grow = isinstance(layer, nn.ConvTranspose2d)
    sizes = []
    for size, kernel, stride, pad in zip((level.height, level.width), layer.kernel_size, layer.stride, layer.padding):
        sizes.append((size - 1) * stride + kernel - 2 * pad if grow else (size + 2 * pad - kernel) // stride + 1)
    return level.resized(layer.out_channels, *sizes)


def check_voxels_fit(detector: VoxelDetector) -> None:
    """Raise ValueError unless voxel layer, pillar encoder and scatter of a CenterPointBEV describe one grid."""
    layer, encoder, scatter = detector.pts_voxel_layer, detector.pts_voxel_encoder, detector.pts_middle_encoder
    grid_x, grid_y, grid_z = (int(size) for size in layer.grid_size)
    if grid_z != 1:
        raise ValueError(
            f'pillars need one voxel along z, pts_voxel_layer makes {grid_z}: voxel_size {layer.voxel_size}'
        )
    if (scatter.ny, scatter.nx) != (grid_y, grid_x):
        raise ValueError(
            f'pts_middle_encoder.output_shape is {(scatter.ny, scatter.nx)} (y, x) but pts_voxel_layer makes '
            f'{(grid_y, grid_x)} voxels: make them equal'
        )
    detector.check_voxel_encoder(dynamic='DynamicPillarEncoder or VirtualPillarEncoder', limited='PillarFeatureNet')
    encoder_range = tuple(float(value) for value in encoder.point_cloud_range)
    if encoder_range != detector.point_cloud_range:
        raise ValueError(
            f'point_cloud_range is {detector.point_cloud_range} in pts_voxel_layer but {encoder_range} in '
            f'pts_voxel_encoder: make them equal'
        )
