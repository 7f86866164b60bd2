"""Build-time check that a CenterPoint head and the BEV map it reads describe one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...structures import BEVLevel

if TYPE_CHECKING:
    from .bev_center_head import BEVCenterHead


def check_center_grid(head: BEVCenterHead, level: BEVLevel) -> None:
    """Raise ValueError unless the head's channels, target grid and box coder fit the BEV map.

    The head itself makes sure that its train_cfg and its coder agree.

    Args:
        head: the head.
        level: of the map it reads.
    """
    if head.in_channels != level.channels:
        raise ValueError(f'the head takes {head.in_channels} channels but the BEV neck gives {level}')
    coder = head.bbox_coder
    factor = coder.out_size_factor
    if head.train_cfg:
        width, height = (int(size) // factor for size in head.train_cfg['grid_size'][:2])
        if (height, width) != (level.height, level.width):
            raise ValueError(
                f'the head draws targets on {height}x{width} cells (train_cfg.pts: grid_size // out_size_factor) but '
                f'the BEV neck gives {level}'
            )
    cell = (level.grid.cell_x, level.grid.cell_y)
    given = tuple(size * factor for size in coder.voxel_size[:2])
    if any(abs(a - b) > 1e-4 * b for a, b in zip(given, cell)):
        raise ValueError(
            f'bbox_coder: voxel_size * out_size_factor is {given[0]:g} x {given[1]:g} m but a cell of the BEV map is '
            f'{cell[0]:g} x {cell[1]:g} m'
        )
    if any(abs(a - b) > 1e-4 for a, b in zip(coder.pc_range[:2], level.grid.extent)):
        raise ValueError(
            f'bbox_coder.pc_range starts at {tuple(coder.pc_range[:2])} m, the BEV map at {level.grid.extent[:2]} m'
        )
