"""BEV levels for tests that care about sizes and not about places."""

from mmdet3d_plugin.structures import BEVLevel

EXTENT = (-12.8, -12.8, -5.0, 12.8, 12.8, 3.0)  # the toy models' range


def level(channels, height, width, extent=EXTENT):
    return BEVLevel.from_range(extent, channels, height, width)
