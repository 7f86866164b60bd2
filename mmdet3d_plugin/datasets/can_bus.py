"""How many scenes come with nuScenes' CAN bus expansion, which ``dualdistill_runtime/can_bus.py`` reads."""

from __future__ import annotations

from collections.abc import Iterable

from mmdet3d.utils import get_root_logger

from dualdistill_runtime.can_bus import has_can_bus


def report_can_bus(scenes: Iterable[str | None], data_root: str) -> tuple[int, int]:
    """Count the scenes without messages and log the count; their motion comes from poses.

    Args:
        scenes: names.
        data_root: nuScenes data root.

    Returns:
        Scenes without a file, and all scenes.

    Raises:
        ValueError, FileNotFoundError: see :func:`has_can_bus`.
    """
    names = sorted(set(scenes), key=str)
    missing = [name for name in names if not has_can_bus(data_root, name)]
    some = f', for example {missing[0]}' if missing else ''
    get_root_logger().info(
        f'{data_root}: {len(missing)} of {len(names)} scenes have no CAN bus file{some}; their motion comes from poses'
    )
    return len(missing), len(names)
