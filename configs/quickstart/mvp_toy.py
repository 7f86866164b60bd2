"""Toy twin of the MVP teacher: the toy CenterPoint on a cloud with painted and virtual points, same budget."""

from mmdet3d_plugin.datasets.pipelines.presets import lidar_pipelines

_base_ = './centerpoint_toy.py'

data_root = 'data/quickstart_mvp/'
# x, y, z, intensity, eleven labels, flag, age, offsets as for the toy CenterPoint
input_scale = [0.05, 0.05, 1.0, 0.02, *[1.0] * 12, 4.0, 3.0, 3.0, 2.0, 5.0, 5.0]
model = dict(pts_voxel_encoder=dict(type='VirtualPillarEncoder', in_channels=17, input_scale=input_scale))

train_pipeline, test_pipeline = lidar_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    num_sweeps=3,
    random_sweeps=False,
    virtual_points=True,
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)
val = dict(
    data_root=data_root,
    ann_file=data_root + 'nuscenes_infos_val.pkl',
    pipeline=test_pipeline,
    modality=dict(use_camera=True, use_lidar=True),
)
data = dict(
    train=dict(data_root=data_root, ann_file=data_root + 'nuscenes_infos_train.pkl', pipeline=train_pipeline),
    val=val,
    test=val,
)
