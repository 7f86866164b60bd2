"""How images become numbers: what a pipeline does, what a detector was trained on and what its checkpoints tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageNorm:
    """(value - mean) / std of every channel. The default is BEVFormer's with ResNets in Caffe's style.

    Attributes:
        mean, std: three numbers of 0..255 each, in the order of the channels of the network's input.
        to_rgb: the network's input is RGB; images are read as BGR.

    Raises:
        ValueError: not three numbers, or a std that is not positive.
    """

    mean: Sequence[float] = (103.530, 116.280, 123.675)
    std: Sequence[float] = (1.0, 1.0, 1.0)
    to_rgb: bool = False

    def __post_init__(self) -> None:
        for name in ('mean', 'std'):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f'need 3 means and 3 positive stds, got {self.mean}, {self.std}')

    def __str__(self) -> str:
        mean, std = (', '.join(f'{value:g}' for value in values) for values in (self.mean, self.std))
        return f'{"RGB" if self.to_rgb else "BGR"}, mean {mean}, std {std}'
