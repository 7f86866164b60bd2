"""The view transform's geometry in a legacy checkpoint against the one a config describes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_PREFIX = 'img_view_transformer.'


def check_geometry(state: Mapping[str, Tensor], model: nn.Module) -> None:
    """The stored grid and frustum must be the model's, or the same weights see another world.

    Args:
        state: legacy state dict; ``dx``, ``bx``, ``nx`` (3: cell size, centre of the first cell, number of cells
            along x, y, z; metres) and ``frustum`` (D, h, w, 3: u, v, depth; pixels, metres) of the view transform are
            looked at where they are there.
        model: a model with ``img_view_transformer``, else nothing is checked.

    Raises:
        ValueError: names both sides and the config entry to change.
    """
    transform = getattr(model, 'img_view_transformer', None)
    if transform is None:
        return
    if all(_PREFIX + name in state for name in ('dx', 'bx', 'nx')):
        cell, first, count = (state[_PREFIX + name].double() for name in ('dx', 'bx', 'nx'))
        _check_grid(cell, first, count, transform)
    if _PREFIX + 'frustum' in state:
        _check_frustum(state[_PREFIX + 'frustum'], transform)


def _check_grid(cell, first, count, transform):
    low, high = first - cell / 2, first - cell / 2 + cell * count
    grid = transform.grid
    theirs = [float(value) for axis in range(3) for value in (low[axis], high[axis])] + cell[:2].tolist()
    ours = [grid.x_min, grid.x_max, grid.y_min, grid.y_max, *transform.zbound, grid.cell_x, grid.cell_y]
    if any(abs(a - b) > 1e-3 for a, b in zip(theirs, ours)):
        raise ValueError(
            f'the checkpoint lifts into x {theirs[:2]}, y {theirs[2:4]}, z {theirs[4:6]} m in cells of {theirs[6:]} m, '
            f'the config into x {ours[:2]}, y {ours[2:4]}, z {ours[4:6]} m in cells of {ours[6:]} m: change xbound, '
            f'ybound and zbound of model.img_view_transformer'
        )


def _check_frustum(frustum, transform):
    """(D, h, w, 3) against the transform's (h, w, 3) pixels and (D,) depths."""
    expected = (len(transform.frustum_depths), *transform.frustum_uv1.shape[:2])
    if tuple(frustum.shape[:3]) != expected:
        raise ValueError(
            f'the checkpoint was trained with {tuple(frustum.shape[:3])} depth bins, rows and columns of image '
            f'features, the config gives {expected}: change image_size, stride or depth_bound'
        )
    pixels, depths = transform.frustum_uv1[..., :2].to(frustum), transform.frustum_depths.to(frustum)
    if not torch.allclose(frustum[0, :, :, :2], pixels, atol=1e-2):
        raise ValueError(
            f'the checkpoint places image cells at pixels u {_ends(frustum[0, 0, :, 0])}, '
            f'v {_ends(frustum[0, :, 0, 1])}, the config at u {_ends(pixels[0, :, 0])}, v {_ends(pixels[:, 0, 1])}: '
            f"set model.img_view_transformer.frustum_anchor='corner' (here and when testing) or change image_size"
        )
    if not torch.allclose(frustum[:, 0, 0, 2], depths, atol=1e-2):
        raise ValueError(
            f'the checkpoint places depth bins at {_ends(frustum[:, 0, 0, 2])} m, the config at {_ends(depths)} m: '
            f'change depth_bound or frustum_anchor of model.img_view_transformer'
        )


def _ends(values):
    """'first..last' of a 1-D tensor."""
    return f'{values[0]:g}..{values[-1]:g}'
