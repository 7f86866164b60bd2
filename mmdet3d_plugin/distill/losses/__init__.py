"""Distillation losses: feature maps by region, and the teacher head's response."""

from .base import FeatureLoss, ResponseLoss
from .feature import RegionWeightedFeatureLoss
from .response import CrossHeadBoxLoss
from .response_dense import CrossHeadDenseLoss

__all__ = ['CrossHeadBoxLoss', 'CrossHeadDenseLoss', 'FeatureLoss', 'RegionWeightedFeatureLoss', 'ResponseLoss']
