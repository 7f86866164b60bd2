"""Dynamic scatter: reduce the features of the points that share a voxel, however many there are."""

from .dynamic_scatter import VoxelGroups, dynamic_scatter, group_points, scatter_points

__all__ = ['VoxelGroups', 'dynamic_scatter', 'group_points', 'scatter_points']
