"""Sum of depth-weighted image features per BEV cell."""

from .backend import BACKENDS, select_backend
from .function import bev_pool
from .plan import BEVPoolPlan
from .plan_cache import PlanCache

__all__ = ['BACKENDS', 'BEVPoolPlan', 'PlanCache', 'bev_pool', 'select_backend']
