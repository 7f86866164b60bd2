"""Which annotation category is which detection class. Decided here once, when info files are made.

Everything later (training, object database, evaluation, pictures) reads the names in the info files.
"""

import re

from nuscenes.eval.detection.utils import category_to_detection_name
from nuscenes.utils.color_map import get_colormap

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

_SPELLINGS = {name.replace('_', ''): name for name in DETECTION_CLASSES}


def detection_class(category, class_map=None):
    """Detection class of an annotation category.

    In this order: what the class map says, nuScenes' official mapping, and the ten class names themselves, as exporters
    write them (``car``, ``Car``, ``Traffic Cone``).

    Args:
        category (str): Name in the category table.
        class_map (dict[str, str], optional): Category -> detection class.

    Returns:
        str | None: One of ``DETECTION_CLASSES``; None for any other category.
    """
    mapped = (class_map or {}).get(category) or category_to_detection_name(category)
    return mapped or _SPELLINGS.get(re.sub(r'[\s_-]+', '', category).lower())


def check_class_map(class_map, nusc):
    """Raise ValueError when a class map names a class or a category that does not exist."""
    unknown = sorted(set(class_map.values()) - set(DETECTION_CLASSES))
    if unknown:
        raise ValueError(
            f'--class-map: {", ".join(unknown)} is no detection class. These are: {list(DETECTION_CLASSES)}'
        )
    known = [record['name'] for record in nusc.category]
    absent = sorted(set(class_map) - set(known))
    if absent:
        raise ValueError(f'--class-map: {nusc.version} has no category {", ".join(absent)}. It has: {sorted(known)}')


def category_report(counts, class_map=None):
    """What became of each category, as a text table, and a warning about unknown ones.

    Args:
        counts (dict[str, int]): Annotated boxes of each category.
        class_map (dict[str, str], optional): See :func:`detection_class`.

    Returns:
        list[str]: Lines to print. Official categories that are no detection class have ``-``; others of which nothing
        is known have ``unknown``, and the last line names them.
    """
    official = get_colormap()
    width = max(map(len, ('category', *counts))) + 2
    lines, unknown = ['category'.ljust(width) + 'class'.ljust(22) + 'boxes'.rjust(9)], []
    for category, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        name = detection_class(category, class_map)
        if name is None and category not in official:
            unknown.append(f'{category} ({count})')
        shown = name or ('-' if category in official else 'unknown')
        lines.append(category.ljust(width) + shown.ljust(22) + str(count).rjust(9))
    if unknown:
        lines.append(
            f'warning: boxes of unknown categories are left out everywhere: {", ".join(unknown)}. If they show objects '
            f'of a detection class, say so with --class-map CATEGORY=CLASS'
        )
    return lines
