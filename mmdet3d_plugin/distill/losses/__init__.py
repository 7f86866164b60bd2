"""Distillation losses: feature maps by region, and the teacher head's response."""

from .feature import RegionWeightedFeatureLoss
from .response import CrossHeadBoxLoss
from .response_dense import CrossHeadDenseLoss

__all__ = ['CrossHeadBoxLoss', 'CrossHeadDenseLoss', 'RegionWeightedFeatureLoss']
