"""Encoders from points in voxels to voxel features."""

from .dynamic_pillar_encoder import DynamicPillarEncoder
from .virtual_pillar_encoder import VirtualPillarEncoder

__all__ = ['DynamicPillarEncoder', 'VirtualPillarEncoder']
