"""CenterPoint teacher, dynamic pillars: every point counts, no limit on points per pillar or on pillars."""

_base_ = [
    '../_base_/models/centerpoint_pillar.py',
    '../_base_/datasets/nuscenes_lidar.py',
    '../_base_/schedules/cyclic_20e.py',
    '../_base_/runtime/default_runtime.py',
]
