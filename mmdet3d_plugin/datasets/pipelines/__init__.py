"""Pipeline steps from nuScenes infos to the batch of a BEV detector; each file holds one registered step
(``select_frames.py`` what the two that choose frames share)."""

from dualdistill_runtime.cameras import NUSCENES_CAMERAS

from .augment_multi_view_images import AugmentMultiViewImages
from .format_bev_inputs import FormatBEVInputs
from .global_bev_aug import GlobalBEVAug
from .load_ego_motion import LoadEgoMotion
from .load_lidar_points_from_file import LoadLidarPointsFromFile
from .load_lidar_points_from_multi_sweeps import LoadLidarPointsFromMultiSweeps
from .load_multi_view_images import LoadMultiViewImages
from .load_virtual_points_from_file import LoadVirtualPointsFromFile
from .load_virtual_points_from_multi_sweeps import LoadVirtualPointsFromMultiSweeps
from .normalize_pad import NormalizePad
from .photometric_distortion import PhotometricDistortion
from .points_to_depth_map import PointsToDepthMap
from .select_adjacent_frames import SelectAdjacentFrames
from .select_frames import SelectFrames
from .select_keyframe_queue import SelectKeyframeQueue

__all__ = [
    'NUSCENES_CAMERAS',
    'AugmentMultiViewImages',
    'FormatBEVInputs',
    'GlobalBEVAug',
    'LoadEgoMotion',
    'LoadLidarPointsFromFile',
    'LoadLidarPointsFromMultiSweeps',
    'LoadMultiViewImages',
    'LoadVirtualPointsFromFile',
    'LoadVirtualPointsFromMultiSweeps',
    'NormalizePad',
    'PhotometricDistortion',
    'PointsToDepthMap',
    'SelectAdjacentFrames',
    'SelectFrames',
    'SelectKeyframeQueue',
]
