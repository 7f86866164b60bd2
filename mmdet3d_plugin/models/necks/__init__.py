"""Necks of images and BEV maps."""

from .finest_fpn import FinestFPN
from .lss_fpn import LSSFPN

__all__ = ['LSSFPN', 'FinestFPN']
