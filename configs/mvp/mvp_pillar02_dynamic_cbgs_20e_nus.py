"""MVP teacher: the dynamic-pillar CenterPoint on a cloud with painted and virtual points (arXiv 2111.06881)."""

_base_ = [
    '../_base_/models/centerpoint_pillar.py',
    '../_base_/datasets/nuscenes_lidar_virtual.py',
    '../_base_/schedules/cyclic_20e.py',
    '../_base_/runtime/default_runtime.py',
]

model = dict(pts_voxel_encoder=dict(type='VirtualPillarEncoder', in_channels=17))
