"""Which camera sees which BEV cell, and where: pillar points projected into the images (BEVFormer, arXiv 2203.17270).

Nothing here depends on a layer, so a frame's :class:`VisiblePairs` are found once and serve them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...structures import BEVGrid

_NEAREST = 1e-5  # metres in front of the camera


class VisiblePairs(NamedTuple):
    """The K pairs of a camera and a BEV cell it sees, over all samples of a batch, in order of images.

    Attributes:
        image: (K,) int64, sample * N + camera.
        cell: (K,) int64, sample * Q + cell, cells row-major.
        points: (K, Z, 2) float32, the cell's pillar points as fractions of the image's width and height; those that the
            camera does not see lie outside of [0, 1] or behind it.
        share: (B * Q, 1) float32, 1 / the number of cameras that see a cell, 1 where none does.
    """

    image: Tensor
    cell: Tensor
    points: Tensor
    share: Tensor


def pillar_points(
    grid: BEVGrid, z_range: Sequence[float], count: int, device: torch.device | str | None = None
) -> Tensor:
    """Points above each cell's centre, the lowest and highest half a metre inside the range.

    Args:
        grid: of the BEV map.
        z_range: (z_min, z_max), metres.
        count: points a pillar, Z.

    Returns:
        (Q, Z, 3) float64 x, y, z, metres, BEV frame; cells row-major.
    """
    centers = grid.centers(device=device, dtype=torch.float64).view(-1, 1, 2).expand(-1, count, 2)
    low, high = z_range[0] + 0.5, z_range[1] - 0.5
    heights = torch.linspace(low, high, count, dtype=torch.float64, device=device)
    return torch.cat([centers, heights.view(1, -1, 1).expand(len(centers), -1, 1)], dim=-1)


def frame_projection(batch: Mapping[str, Any], frame: int) -> Tensor:
    """From the augmented BEV frame to the augmented images of one frame of a queue.

    A pixel's centre has whole coordinates, see the pipeline. Float64, which mixed precision and TF32 leave alone.

    Args:
        batch: collated; ``intrins`` (B, F, N, 3, 3), ``post_rots`` (B, F, N, 3, 3), ``post_trans`` (B, F, N, 3),
            ``cam2lidar`` (B, F, N, 4, 4) and ``bev_aug`` (B, 4, 4) are read.
        frame: 0 is the current one.

    Returns:
        (B, N, 3, 4) float64; (x, y, z, 1), metres, goes to (u d, v d, d) with u, v in pixels, d in metres.
    """
    intrins, post_rots, post_trans, cam2lidar = (
        batch[key][:, frame].double() for key in ('intrins', 'post_rots', 'post_trans', 'cam2lidar')
    )
    affine = torch.cat([post_rots[..., :2], (post_rots[..., 2] + post_trans).unsqueeze(-1)], dim=-1)
    bev2cam = torch.linalg.inv(batch['bev_aug'].double().unsqueeze(1) @ cam2lidar)
    return affine @ intrins @ bev2cam[..., :3, :]


def find_visible(points: Tensor, projection: Tensor, image_size: Sequence[int]) -> VisiblePairs:
    """Pairs of a camera and a cell of which it sees at least one pillar point.

    A point is seen when it is in front of the camera and strictly inside the padded image. As published, a pixel's
    place is u / width, without the half pixel that would make it exact.

    Args:
        points: (Q, Z, 3) from :func:`pillar_points`.
        projection: (B, N, 3, 4) from :func:`frame_projection`.
        image_size: (height, width) of the images with their padding, pixels.
    """
    height, width = image_size
    (cells, count), (samples, cams) = points.shape[:2], projection.shape[:2]
    projected = points.view(-1, 3) @ projection[..., :3].transpose(-1, -2) + projection[..., None, :, 3]
    depth = projected[..., 2:]
    places = projected[..., :2] / depth.clamp(min=_NEAREST) / projected.new_tensor([width, height])
    seen = (depth[..., 0] > _NEAREST) & ((places > 0) & (places < 1)).all(-1)
    hit = seen.view(samples, cams, cells, count).any(-1)
    sample, camera, cell = hit.nonzero(as_tuple=True)
    return VisiblePairs(
        image=sample * cams + camera,
        cell=sample * cells + cell,
        points=places.view(samples, cams, cells, count, 2)[sample, camera, cell].float(),
        share=1 / hit.sum(1).clamp(min=1).view(-1, 1).float(),
    )
