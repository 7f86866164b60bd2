"""LidarFormer teacher: 0.064 m voxels, sparse 3-D encoder, deformable BEV encoder, DETR head. No GT sampling."""

_base_ = [
    '../_base_/models/lidarformer.py',
    '../_base_/datasets/nuscenes_lidar_no_sampling.py',
    '../_base_/schedules/cyclic_20e.py',
    '../_base_/runtime/default_runtime.py',
]

data = dict(samples_per_gpu=2)
optimizer = dict(lr=5e-5)
