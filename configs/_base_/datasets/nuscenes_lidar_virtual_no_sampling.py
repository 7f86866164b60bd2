"""nuScenes for teachers on virtual points that train without ground-truth sampling; all else as in
``nuscenes_lidar_virtual.py``."""

from mmdet3d_plugin.datasets.pipelines.presets import lidar_pipelines

_base_ = './nuscenes_lidar_virtual.py'

train_pipeline = lidar_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    num_sweeps=10,
    virtual_points=True,
    bev_aug=dict(rot_range=(-22.5, 22.5), scale_range=(0.95, 1.05), flip_x_prob=0.5, flip_y_prob=0.5),
)[0]
data = dict(train=dict(dataset=dict(pipeline=train_pipeline)))
