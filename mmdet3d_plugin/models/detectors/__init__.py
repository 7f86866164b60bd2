"""Detectors on BEV maps."""

from .base import BEVDetector
from .bevdepth4d import BEVDepth4D
from .bevformer import BEVFormer
from .centerpoint_bev import CenterPointBEV
from .lidarformer import LidarFormer

__all__ = ['BEVDepth4D', 'BEVDetector', 'BEVFormer', 'CenterPointBEV', 'LidarFormer']
