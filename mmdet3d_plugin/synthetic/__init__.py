"""Synthetic nuScenes: a small world, seen by a LiDAR and cameras, written as a complete nuScenes v1.0 tree."""

from .config import SyntheticConfig
from .generate import generate

__all__ = ['SyntheticConfig', 'generate']
