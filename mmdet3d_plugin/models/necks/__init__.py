"""Necks of images and BEV maps."""

from .deformable_bev_encoder import DeformableBEVEncoder
from .finest_fpn import FinestFPN
from .lss_fpn import LSSFPN

__all__ = ['DeformableBEVEncoder', 'LSSFPN', 'FinestFPN']
