"""Encoders from points in voxels to voxel features."""

from .dynamic_pillar_encoder import DynamicPillarEncoder
from .virtual_pillar_encoder import VirtualPillarEncoder
from .virtual_voxel_encoder import VirtualVoxelEncoder

__all__ = ['DynamicPillarEncoder', 'VirtualPillarEncoder', 'VirtualVoxelEncoder']
