"""Camera geometry of a lift-splat view transform: frustum points and where they lie in the augmented BEV frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class CameraGeometry(NamedTuple):
    """Geometry of the N cameras of one frame (float tensors, batch first).

    Attributes:
        intrins: (B, N, 3, 3) intrinsics of the original image, pixels.
        post_rots: (B, N, 3, 3) and post_trans: (B, N, 3) image augmentation,
            ``uv1_aug = post_rots @ uv1 + post_trans``.
        cam2lidar: (B, N, 4, 4) camera -> LiDAR frame of this frame, as mounted.
        bev_aug: (B, 4, 4) BEV augmentation: LiDAR frame -> augmented BEV frame, the same for every frame of a sample.
    """

    intrins: Tensor
    post_rots: Tensor
    post_trans: Tensor
    cam2lidar: Tensor
    bev_aug: Tensor

    @classmethod
    def of_frame(cls, batch: Mapping[str, Any], frame: int) -> CameraGeometry:
        """Geometry of frame ``frame`` of a collated batch (0 = current)."""
        of_frames = ('intrins', 'post_rots', 'post_trans', 'cam2lidar')
        return cls(**{key: batch[key][:, frame] for key in of_frames}, bev_aug=batch['bev_aug'])

    @property
    def cam2bev(self) -> Tensor:
        """(B, N, 4, 4) float64 camera -> augmented BEV frame of this frame, ``bev_aug @ cam2lidar``."""
        return self.bev_aug.double().unsqueeze(1) @ self.cam2lidar.double()

    def flat_numbers(self) -> Tensor:
        """(B, N, 33) numbers the depth net reads: intrinsics 9, post-rot 9, post-trans 3, rotation 9, translation 3.

        The extrinsics are those of the mount, without the BEV augmentation: how far away a pixel is does not depend on
        how the map is turned afterwards.
        """
        mount = (self.cam2lidar[..., :3, :3], self.cam2lidar[..., :3, 3])
        parts = [self.intrins, self.post_rots, self.post_trans, *mount]
        return torch.cat([part.reshape(*self.intrins.shape[:2], -1).float() for part in parts], dim=-1)


def build_frustum(
    image_size: tuple[int, int], stride: int, depth_bound: Sequence[float], anchor: str
) -> tuple[Tensor, Tensor]:
    """Pixel and depth of every frustum point.

    Args:
        image_size: (H, W) of the augmented image, pixels, multiples of ``stride``.
        stride: pixels per feature cell.
        depth_bound: (first, end, step) of the depth bins, metres; bin i starts at first + i * step.
        anchor: 'center': points at the centre of their feature cell and depth bin. 'corner': as in the released code,
            cells spread evenly from the first to the last pixel and depths at the near end of their bin.

    Returns:
        uv1 (h, w, 3) homogeneous pixels (integer = pixel centre) and depths (D,), both float64.

    Raises:
        ValueError: size and stride do not fit, or unknown anchor.
    """
    height, width = image_size
    if height % stride or width % stride:
        raise ValueError(f'image_size {tuple(image_size)} must be a multiple of the feature stride {stride}')
    rows, cols = height // stride, width // stride
    depths = depth_bound[0] + depth_bound[2] * torch.arange(num_depth_bins(depth_bound), dtype=torch.float64)
    if anchor == 'center':
        us = (torch.arange(cols, dtype=torch.float64) + 0.5) * stride - 0.5
        vs = (torch.arange(rows, dtype=torch.float64) + 0.5) * stride - 0.5
        depths = depths + depth_bound[2] / 2
    elif anchor == 'corner':
        us = torch.linspace(0, width - 1, cols, dtype=torch.float64)
        vs = torch.linspace(0, height - 1, rows, dtype=torch.float64)
    else:
        raise ValueError(f"frustum anchor must be 'center' or 'corner', got {anchor!r}")
    vs, us = torch.meshgrid(vs, us, indexing='ij')
    return torch.stack([us, vs, torch.ones_like(us)], dim=-1), depths


def num_depth_bins(depth_bound: Sequence[float]) -> int:
    """Number of whole bins in (first, end, step), metres: (1, 60, 1) has 59.

    Raises:
        ValueError: the bound holds no bin or ``end - first`` is not a multiple of ``step``.
    """
    first, end, step = depth_bound
    count = round((end - first) / step) if step > 0 else 0
    if count < 1 or abs(first + count * step - end) > 1e-6 * abs(end):
        raise ValueError(f'depth bound {tuple(depth_bound)} must be (first, end, step) with whole bins between')
    return count


def locate_frustum(uv1: Tensor, depths: Tensor, cameras: CameraGeometry) -> Tensor:
    """Location of every frustum point in the augmented BEV frame.

    A point is ``depth * ray + origin``, so only the rays (h * w per camera) need matrix work. They are computed in
    fp64, which mixed precision and TF32 leave alone; the points themselves are fp32.

    Args:
        uv1: (h, w, 3) homogeneous pixels of the augmented image.
        depths: (D,) metres along the optical axis.
        cameras: CameraGeometry of B samples with N cameras.

    Returns:
        (B, N, D, h, w, 3) float32 x, y, z, metres.
    """
    pixels = uv1.double().flatten(0, 1) - cameras.post_trans.double().unsqueeze(2)
    cam2bev = cameras.cam2bev
    to_rays = cam2bev[..., :3, :3] @ torch.linalg.inv(cameras.post_rots.double() @ cameras.intrins.double())
    rays = (pixels @ to_rays.transpose(-1, -2)).float()
    rays = rays.view(*rays.shape[:2], 1, *uv1.shape)
    origin = cam2bev[..., :3, 3].float()[:, :, None, None, None]
    return depths.float().view(-1, 1, 1, 1) * rays + origin
