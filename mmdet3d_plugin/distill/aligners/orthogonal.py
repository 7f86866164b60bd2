"""Channel projection that keeps angles and lengths: a semi-orthogonal matrix, a scale and a bias."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal


class OrthogonalProjection(nn.Module):
    """Per-cell linear map C -> C_T whose weight W (C_T, C) stays semi-orthogonal under any optimizer.

    W W^T = I when C >= C_T, W^T W = I when C < C_T. After it, each output channel has a learned scale (init 1) and
    bias (init 0). Following VkD (orthogonal projections for distillation).

    The Cayley map is used because torch's default for rectangular matrices, 'householder', reads the signs of W from a
    stored diagonal by integer truncation: the first step of AdamW's weight decay turns that diagonal into zeros and W
    with it. The Cayley map has no such state; decay only pulls W towards its initial value.

    Args:
        in_channels, out_channels: C and C_T.
        identity: start as the identity on the first min(C, C_T) channels, rather than as a random matrix. Where C is
            smaller, the other output channels start at zero. This is this project's own.
    """

    def __init__(self, in_channels: int, out_channels: int, identity: bool = False) -> None:
        super().__init__()
        linear = nn.Linear(in_channels, out_channels, bias=False)
        (nn.init.eye_ if identity else nn.init.orthogonal_)(linear.weight)
        orthogonal(linear, 'weight', orthogonal_map='cayley')
        self.projection = linear
        self.scale = nn.Parameter(torch.ones(out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def weight(self) -> Tensor:
        """The semi-orthogonal matrix (C_T, C), float32 also under autocast (half precision would break it)."""
        with torch.autocast(self.scale.device.type, enabled=False):
            return self.projection.weight

    def forward(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C_T, H, W)."""
        projected = F.conv2d(feature, self.weight()[:, :, None, None])
        return projected * self.scale[:, None, None] + self.bias[:, None, None]
