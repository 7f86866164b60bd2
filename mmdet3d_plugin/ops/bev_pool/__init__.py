"""Sum of depth-weighted image features per BEV cell."""

from ..backend import BACKENDS, select_backend
from .function import bev_pool
from .plan import BEVPoolPlan

__all__ = ['BACKENDS', 'BEVPoolPlan', 'bev_pool', 'select_backend']
