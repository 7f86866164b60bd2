"""MVPFormer teacher: LidarFormer's network on dynamic voxels of a cloud with painted and virtual points.

``virtual_time='flag'`` is as released; 'dt' lets those points keep their age.
"""

_base_ = [
    '../_base_/models/lidarformer.py',
    '../_base_/datasets/nuscenes_lidar_virtual_no_sampling.py',
    '../_base_/schedules/cyclic_20e.py',
    '../_base_/runtime/default_runtime.py',
]

model = dict(
    pts_voxel_layer=dict(max_num_points=-1, max_voxels=-1),
    pts_voxel_encoder=dict(_delete_=True, type='VirtualVoxelEncoder', virtual_time='flag'),
    pts_middle_encoder=dict(in_channels=23),
)
data = dict(samples_per_gpu=3)
optimizer = dict(lr=5e-5)
