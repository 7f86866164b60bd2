"""Data sets, pipeline steps and ground-truth sampling; importing this package registers them."""

from . import pipelines
from .cbgs import SeededCBGSDataset
from .gt_database import GTDatabaseSampler
from .labelled_and_unlabelled import LabelledAndUnlabelled
from .nuscenes_bev_dataset import NuScenesBEVDataset

__all__ = ['GTDatabaseSampler', 'LabelledAndUnlabelled', 'NuScenesBEVDataset', 'SeededCBGSDataset', 'pipelines']
