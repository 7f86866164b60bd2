"""From voxel features to a map."""

from .bev_sparse_encoder import BEVSparseEncoder

__all__ = ['BEVSparseEncoder']
