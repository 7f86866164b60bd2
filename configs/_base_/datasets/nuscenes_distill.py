"""nuScenes for distillation: the camera student's data, plus ten LiDAR sweeps for the teacher at training.

The points share the cameras' BEV augmentation and are cut to ``point_cloud_range``. Testing needs no points. Another
image size, range or depth grid: call ``camera_4d_pipelines(..., teacher_sweeps=10)`` in the child config.
"""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

_base_ = './nuscenes_camera_4d.py'

train_pipeline = camera_4d_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    final_dim={{_base_.final_dim}},
    depth_bounds={{_base_.depth_bounds}},
    depth_downsample={{_base_.depth_downsample}},
    teacher_sweeps=10,
)[0]
data = dict(train=dict(dataset=dict(pipeline=train_pipeline)))
