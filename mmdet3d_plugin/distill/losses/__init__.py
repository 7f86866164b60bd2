"""Distillation losses: feature maps by region, and the teacher head's response."""

from .base import FeatureLoss, ResponseLoss
from .cross_head_box import CrossHeadBoxLoss
from .cross_head_dense import CrossHeadDenseLoss
from .region_weighted import RegionWeightedFeatureLoss

__all__ = ['CrossHeadBoxLoss', 'CrossHeadDenseLoss', 'FeatureLoss', 'RegionWeightedFeatureLoss', 'ResponseLoss']
