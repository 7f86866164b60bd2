"""Lift-splat view transform with a camera-aware, LiDAR-supervised depth net (LSS, BEVDepth)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import build_conv_layer, build_norm_layer
from mmcv.runner import BaseModule
from mmdet3d.models.builder import NECKS
from torch import Tensor, nn

from ...ops.bev_pool import BEVPoolPlan, bev_pool
from ...structures import BEVGrid, BEVLevel
from ..backbones.residual_encoder import ResidualEncoder
from .camera_gate import CameraGate
from .depth_supervision import depth_loss
from .geometry import CameraGeometry, build_frustum, locate_frustum, num_depth_bins

_NUM_CAMERA_NUMBERS = 33  # see CameraGeometry.flat_numbers


def _leave_out_frustum(module, state_dict, prefix, local_metadata):
    """State dict hook: mmcv writes non-persistent buffers into checkpoints, where they fail strict loading."""
    for name in ('frustum_uv1', 'frustum_depths'):
        state_dict.pop(prefix + name, None)


@NECKS.register_module()
class LSSViewTransform(BaseModule):
    """Image features of N cameras -> one BEV map, through a depth distribution per pixel.

    depth logits = 1x1(norm(3x3(basic blocks(camera gate(x))))), context = 1x1(x); softmax(depth) x context is summed
    into BEV cells.

    Args:
        in_channels: channels of the image features.
        out_channels: channels of the context, hence of the BEV map.
        image_size: (H, W) of the augmented images, pixels.
        stride: pixels per image feature cell.
        xbound, ybound: (min, max, cell), metres, of the BEV map's columns and rows.
        zbound: (min, max), metres: points outside are dropped.
        depth_bound: (first, end, step), metres: the depth bins.
        depth_channels: channels inside the depth net.
        depth_blocks: basic blocks in the depth net.
        depth_conv_cfg: type of the depth net's 3x3 convolution; DCNv2 is slow on a CPU, None takes a plain one.
        frustum_anchor: 'center' or 'corner', see :func:`build_frustum`.
        loss_depth_weight: weight of the depth loss.
        norm_cfg: normalisation of the depth net.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        image_size: tuple[int, int],
        stride: int,
        xbound: Sequence[float],
        ybound: Sequence[float],
        zbound: Sequence[float],
        depth_bound: Sequence[float],
        depth_channels: int = 256,
        depth_blocks: int = 3,
        depth_conv_cfg: Mapping[str, Any] | None = dict(type='DCNv2', deform_groups=1),  # noqa: B006  (read only)
        frustum_anchor: str = 'center',
        loss_depth_weight: float = 100.0,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),  # noqa: B006  (read only)
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.image_size = tuple(image_size)
        self.stride = stride
        self.depth_bound = tuple(depth_bound)
        self.zbound = tuple(zbound)
        self.frustum_anchor = frustum_anchor
        self.loss_depth_weight = loss_depth_weight
        rows, columns = _num_cells('ybound', ybound), _num_cells('xbound', xbound)
        self.grid = BEVGrid(xbound[0], ybound[0], xbound[1], ybound[1], rows, columns)
        self.level = BEVLevel(out_channels, self.grid)
        uv1, depths = build_frustum(image_size, stride, self.depth_bound, frustum_anchor)
        self.register_buffer('frustum_uv1', uv1, persistent=False)
        self.register_buffer('frustum_depths', depths, persistent=False)
        self._register_state_dict_hook(_leave_out_frustum)

        width = depth_channels
        self.se = CameraGate(in_channels=in_channels, out_channels=width, num_numbers=_NUM_CAMERA_NUMBERS)
        self.extra_depthnet = ResidualEncoder(
            in_channels=width, channels=(width,), num_blocks=(depth_blocks,), strides=(1,), norm_cfg=norm_cfg
        )
        self.dcn = nn.Sequential(
            build_conv_layer(depth_conv_cfg, width, width, 3, padding=1, bias=False),
            build_norm_layer(norm_cfg, width)[1],
        )
        self.depthnet = nn.Conv2d(width, num_depth_bins(self.depth_bound), 1)
        # The depth loss is a binary cross-entropy per bin while one bin in D is right: starting at probability 1/D, as
        # focal-loss heads do, spares the many iterations that would only lower every logit. The softmax is unchanged.
        nn.init.constant_(self.depthnet.get_parameter('bias'), -math.log(max(num_depth_bins(self.depth_bound) - 1, 1)))
        self.featnet = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, feature: Tensor, cameras: CameraGeometry) -> tuple[Tensor, Tensor]:
        """Lift, splat.

        Args:
            feature: (B, N, C, h, w) image features.
            cameras: CameraGeometry of the same B samples and N cameras.

        Returns:
            BEV map (B, out_channels, H, W), and depth logits (B, N, D, h, w).

        Raises:
            ValueError: the features are not the size the configured images give.
        """
        expected = (self.in_channels, *self.frustum_uv1.shape[:2])
        if tuple(feature.shape[2:]) != expected:
            raise ValueError(
                f'image features are {tuple(feature.shape[2:])} (C, h, w) but the view transform was built for '
                f'{expected}: check in_channels, image_size and stride against the image backbone and the pipeline'
            )
        logits, context = (
            part.unflatten(0, feature.shape[:2])
            for part in self.depth_and_context(feature.flatten(0, 1), cameras.flat_numbers().flatten(0, 1))
        )
        return self.splat(logits.float().softmax(dim=2), context, cameras), logits

    def depth_and_context(self, pixels: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """What M images say about each of their pixels, without any geometry.

        Args:
            pixels: (M, C, h, w) image features.
            numbers: (M, 33) of each image's camera, see :meth:`CameraGeometry.flat_numbers`.

        Returns:
            Depth logits (M, D, h, w) and context (M, out_channels, h, w).
        """
        logits = self.depthnet(self._deform(self.extra_depthnet(self.se(pixels, numbers))[-1]))
        return logits, self.featnet(pixels)

    def _deform(self, hidden):
        """The depth net's 3x3 convolution; bfloat16 becomes float32, as mmcv's deformable one has no kernel for it."""
        if hidden.dtype != torch.bfloat16:
            return self.dcn(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.dcn(hidden.float())

    def splat(self, depth_prob: Tensor, context: Tensor, cameras: CameraGeometry) -> Tensor:
        """depth_prob (B, N, D, h, w), context (B, N, C, h, w) -> BEV map (B, C, H, W), float32."""
        # The plan is made anew each time, at test as well: every camera is placed by the ego pose of its own exposure,
        # so its place in the BEV frame is never quite that of the sample before.
        with torch.no_grad():
            locations = locate_frustum(self.frustum_uv1, self.frustum_depths, cameras)
            plan = BEVPoolPlan.from_geometry(locations, self.grid, self.zbound)
        return bev_pool(depth_prob, context, plan)

    def loss_depth(self, depth_logits: Tensor, gt_depth: Tensor) -> Tensor:
        """Weighted depth loss: logits (B, N, D, h, w), LiDAR depth (B, N, h, w) in metres, 0 = none."""
        return self.loss_depth_weight * depth_loss(depth_logits, gt_depth, self.depth_bound)


def _num_cells(name, bound):
    """Cells in (min, max, cell); ValueError unless they are whole."""
    low, high, cell = bound
    count = round((high - low) / cell) if cell > 0 else 0
    if count < 1 or abs(low + count * cell - high) > 1e-6 * max(abs(low), abs(high)):
        raise ValueError(f'{name} {tuple(bound)} must be (min, max, cell) with a whole number of cells')
    return count
