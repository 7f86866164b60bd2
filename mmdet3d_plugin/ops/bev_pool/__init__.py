from .function import bev_pool
from .plan import BEVPoolPlan

__all__ = ['BEVPoolPlan', 'bev_pool']
