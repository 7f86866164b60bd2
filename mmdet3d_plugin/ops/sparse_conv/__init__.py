"""Sparse 3-D convolution: submanifold and strided, on CPU and CUDA, with mmdet3d's parameter names and layout."""

from .modules import SparseConv3d, SubMConv3d
from .sparse_tensor import SparseTensor, VoxelSites
from .window import ConvWindow

__all__ = ['ConvWindow', 'SparseConv3d', 'SparseTensor', 'SubMConv3d', 'VoxelSites']
