"""Database of annotated objects with their points, and ground-truth sampling from it."""

from .sampler import GTDatabaseSampler

__all__ = ['GTDatabaseSampler']
