"""nuScenes for MVP teachers: the LiDAR teachers' data with painted and virtual points, 17 numbers each.

The points come from ``tools/data_converter/create_virtual_points.py``, the object database then from
``tools/create_data.py nuscenes --virtual``.
"""

from mmdet3d_plugin.datasets.pipelines.presets import lidar_pipelines

_base_ = './nuscenes_lidar.py'

train_pipeline, test_pipeline = lidar_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    num_sweeps=10,
    virtual_points=True,
    bev_aug=dict(rot_range=(-22.5, 22.5), scale_range=(0.95, 1.05), flip_x_prob=0.5, flip_y_prob=0.5),
    gt_sampling=dict(
        info_path='data/nuscenes/nuscenes_dbinfos_train_virtual.pkl',
        sample_groups={{_base_.sample_groups}},
        min_points=5,
    ),
)
test_data = dict(pipeline=test_pipeline, modality=dict(use_camera=True, use_lidar=True))
data = dict(train=dict(dataset=dict(pipeline=train_pipeline)), val=test_data, test=test_data)
