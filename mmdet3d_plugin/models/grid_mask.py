"""GridMask: hide all but a grid of stripes of the training images (arXiv 2001.04086, as BEVFormer uses it)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GridMask(nn.Module):
    """Zeroes what lies between the stripes of a random grid; one mask for all images of a call.

    The period is drawn from 2 pixels up to the image's height, stripes are half as wide, and rows and columns have an
    offset each. Draws come from torch's generator on the CPU, which a resumed run finds as it was.

    Args:
        prob: probability that a call masks at all.
    """

    def __init__(self, prob: float = 0.7) -> None:
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f'grid_mask: prob must be in [0, 1], got {prob}')
        self.prob = prob

    def forward(self, images: Tensor) -> Tensor:
        """(..., H, W) images, H above 2, normalised so that 0 is the mean colour -> masked copy, or the images."""
        if not self.training or torch.rand(()).item() >= self.prob:
            return images
        height, width = images.shape[-2:]
        period = int(torch.randint(2, height, ()))
        rows, columns = (
            _stripes(size, period, int(torch.randint(period, ()))).to(images.device) for size in (height, width)
        )
        return images * (rows.unsqueeze(1) | columns)


def _stripes(size: int, period: int, offset: int) -> Tensor:
    """(size,) bool: what stripes cover of the middle of a canvas half as large again, on which they are laid out.

    Only whole periods of the canvas get a stripe; what ``offset`` moves beyond its end is cut off.
    """
    canvas = int(1.5 * size)
    stripe = min(max(int(period / 2 + 0.5), 1), period - 1)
    place = torch.arange(size) + (canvas - size) // 2 - offset
    return (place >= 0) & (place % period < stripe) & (place < canvas // period * period)
