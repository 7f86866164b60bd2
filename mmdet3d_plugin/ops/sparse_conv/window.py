"""The window of a 3-D convolution: which input cells an output cell sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def _triple(value: int | Sequence[int]) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,) * 3
    if len(values) != 3:
        raise ValueError(f'a 3-D convolution takes one number or three (z, y, x), got {value!r}')
    return tuple(int(item) for item in values)


@dataclass(frozen=True)
class ConvWindow:
    """Kernel size, stride, padding and dilation along (z, y, x), cells.

    Output cell o sees, at kernel offset k, input cell ``o * stride - padding + k * dilation``. Offsets are numbered
    as in a weight of shape (kz, ky, kx, in, out) with its first three axes flattened.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0)
    dilation: tuple[int, ...] = (1, 1, 1)

    @classmethod
    def of(
        cls,
        kernel: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
    ) -> ConvWindow:
        """Window from numbers or (z, y, x) triples."""
        return cls(_triple(kernel), _triple(stride), _triple(padding), _triple(dilation))

    @classmethod
    def submanifold(cls, kernel: int | Sequence[int], dilation: int | Sequence[int] = 1) -> ConvWindow:
        """Window whose centre is the output cell itself.

        Raises:
            ValueError: an even kernel size, which has no centre.
        """
        kernel, dilation = _triple(kernel), _triple(dilation)
        if any(size % 2 == 0 for size in kernel):
            raise ValueError(f'a submanifold convolution needs odd kernel sizes, got {kernel}')
        padding = tuple(size // 2 * step for size, step in zip(kernel, dilation))
        return cls(kernel, (1, 1, 1), padding, dilation)

    @property
    def offsets(self) -> int:
        """Number of kernel offsets."""
        return self.kernel[0] * self.kernel[1] * self.kernel[2]

    def out_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Grid (z, y, x) of the outputs for a grid of inputs.

        Raises:
            ValueError: the grid is smaller than the window.
        """
        sizes = zip(shape, self.kernel, self.stride, self.padding, self.dilation)
        room = [(size + 2 * pad - step * (kernel - 1) - 1, stride) for size, kernel, stride, pad, step in sizes]
        if any(cells < 0 for cells, _ in room):
            raise ValueError(f'a grid of {tuple(shape)} cells (z, y, x) is smaller than {self}')
        return tuple(cells // stride + 1 for cells, stride in room)
