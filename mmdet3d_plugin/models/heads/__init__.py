"""Detection heads on BEV maps."""

from .base import BEVHead
from .bev_center_head import BEVCenterHead

__all__ = ['BEVCenterHead', 'BEVHead']
