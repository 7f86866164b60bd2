"""Detection heads on BEV maps."""

from .base import BEVHead
from .bev_center_head import BEVCenterHead
from .detr_bev_head import DETRBEVHead

__all__ = ['BEVCenterHead', 'BEVHead', 'DETRBEVHead']
