"""Sum of depth-weighted image features per BEV cell."""

from .function import bev_pool
from .plan import BEVPoolPlan

__all__ = ['BEVPoolPlan', 'bev_pool']
