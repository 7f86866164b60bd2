"""Detection heads on BEV maps."""

from .bev_center_head import BEVCenterHead

__all__ = ['BEVCenterHead']
