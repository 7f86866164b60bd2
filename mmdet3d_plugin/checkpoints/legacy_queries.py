"""Query heads of code before mmdet3d 1.0: their boxes become ours by a change of the last linear layers alone.

The old code of a box is (x, y, log w, log l, z, log h, sin yaw_old, cos yaw_old, vx, vy) with yaw_old = -yaw - pi/2,
ours (x, y, log l, log w, z, log h, sin yaw, cos yaw, vx, vy). Hence rows 2 and 3 change places, and so do rows 6 and 7
with the opposite sign: sin yaw = -cos yaw_old and cos yaw = -sin yaw_old. L1 distances, matching and losses stay the
same, so training goes on as if nothing had happened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_REGRESSION = re.compile(r'(?P<branch>(?:.*\.)?reg_branches\.\d+)\.(?P<layer>\d+)\.(?:weight|bias)$')
_ORDER = [0, 1, 3, 2, 4, 5, 7, 6, 8, 9]


def gives_boxes(key: str, state: Mapping[str, Tensor]) -> bool:
    """Whether an entry belongs to the last layer of a regression branch; an activation stands between two layers."""
    match = _REGRESSION.match(key)
    return match is not None and f'{match["branch"]}.{int(match["layer"]) + 2}.weight' not in state


def old_box_rows(value: Tensor) -> Tensor:
    """Weight (10, C) or bias (10,) for old boxes -> the same for ours. A second call gives the first value back."""
    turned = value[_ORDER]
    turned[6:8] *= -1
    return turned


def convert_old_box_rows(state: Mapping[str, Tensor], prefix: str = 'pts_bbox_head.') -> dict[str, Tensor]:
    """State dict of a query head for old boxes -> the same for ours.

    Args:
        state: name -> tensor; not modified.
        prefix: of the head's names; all others stay as they are.
    """
    return {
        key: old_box_rows(value) if key.startswith(prefix) and gives_boxes(key, state) else value
        for key, value in state.items()
    }
