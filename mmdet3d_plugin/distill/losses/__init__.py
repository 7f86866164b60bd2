"""Distillation losses: feature maps by region, and the teacher head's response."""

from .base import FeatureLoss, ResponseLoss
from .feature import RegionWeightedFeatureLoss
from .response import CrossHeadBoxLoss
from .response_dense import CrossHeadDenseLoss
from .response_queries import CrossHeadQueryLoss

__all__ = [
    'CrossHeadBoxLoss',
    'CrossHeadDenseLoss',
    'CrossHeadQueryLoss',
    'FeatureLoss',
    'RegionWeightedFeatureLoss',
    'ResponseLoss',
]
