"""Pipeline steps from nuScenes infos to the batch of a BEV detector; each file holds one registered step
(``select_frames.py`` what the two that choose frames share)."""

from .augment_multi_view_images import AugmentMultiViewImages
from .format_bev_inputs import FormatBEVInputs
from .global_bev_aug import GlobalBEVAug
from .load_lidar_points_from_file import LoadLidarPointsFromFile
from .load_lidar_points_from_multi_sweeps import LoadLidarPointsFromMultiSweeps
from .load_multi_view_images import LoadMultiViewImages
from .load_virtual_points_from_file import LoadVirtualPointsFromFile
from .load_virtual_points_from_multi_sweeps import LoadVirtualPointsFromMultiSweeps
from .points_to_depth_map import PointsToDepthMap
from .select_adjacent_frames import SelectAdjacentFrames
from .select_frames import NUSCENES_CAMERAS, SelectFrames
from .select_keyframe_queue import SelectKeyframeQueue

__all__ = [
    'NUSCENES_CAMERAS',
    'AugmentMultiViewImages',
    'FormatBEVInputs',
    'GlobalBEVAug',
    'LoadLidarPointsFromFile',
    'LoadLidarPointsFromMultiSweeps',
    'LoadMultiViewImages',
    'LoadVirtualPointsFromFile',
    'LoadVirtualPointsFromMultiSweeps',
    'PointsToDepthMap',
    'SelectAdjacentFrames',
    'SelectFrames',
    'SelectKeyframeQueue',
]
