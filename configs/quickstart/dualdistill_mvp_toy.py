"""Toy twin of DualDistill with the MVP teacher: data and budget of the one with the CenterPoint teacher."""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

_base_ = './dualdistill_toy.py'

data_root = 'data/quickstart_mvp/'

model = dict(
    teacher=dict(config='configs/quickstart/mvp_toy.py', checkpoint='outputs/quickstart_mvp/teacher/epoch_5.pth')
)

train_pipeline = camera_4d_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    final_dim={{_base_.final_dim}},
    depth_bounds={{_base_.depth_bounds}},
    depth_downsample={{_base_.stride}},
    teacher_sweeps=3,
    teacher_virtual_points=True,
    image_aug=dict(resize_range=(0.0, 0.05), rot_range=(0.0, 0.0), flip_prob=0.0, test_resize=0.02),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)[0]
val = dict(data_root=data_root, ann_file=data_root + 'nuscenes_infos_val_4d_interval3_max60.pkl')
train_file = data_root + 'nuscenes_infos_train_4d_interval3_max60.pkl'
data = dict(train=dict(data_root=data_root, ann_file=train_file, pipeline=train_pipeline), val=val, test=val)
