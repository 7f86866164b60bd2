"""Detectors that answer ``extract_bev``."""

from .bevdepth4d import BEVDepth4D
from .centerpoint_bev import CenterPointBEV

__all__ = ['BEVDepth4D', 'CenterPointBEV']
