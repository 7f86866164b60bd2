"""Detectors that answer ``extract_bev``, and the image branch of one."""

from .bevdepth4d import BEVDepth4D
from .camera_depth import CameraDepth
from .centerpoint_bev import CenterPointBEV

__all__ = ['BEVDepth4D', 'CameraDepth', 'CenterPointBEV']
