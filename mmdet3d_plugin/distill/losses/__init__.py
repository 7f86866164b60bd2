"""Distillation losses: feature maps by region, and the teacher head's response."""

from .feature import RegionWeightedFeatureLoss

__all__ = ['RegionWeightedFeatureLoss']
