"""Encoders from points in voxels to voxel features."""

from .dynamic_pillar_encoder import DynamicPillarEncoder

__all__ = ['DynamicPillarEncoder']
