"""Data sets and pipeline steps; importing this package registers them."""

from . import pipelines
from .cbgs import SeededCBGSDataset
from .nuscenes_bev_dataset import NuScenesBEVDataset

__all__ = ['NuScenesBEVDataset', 'SeededCBGSDataset', 'pipelines']
