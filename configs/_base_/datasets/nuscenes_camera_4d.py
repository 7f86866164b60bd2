"""nuScenes for two-frame camera students: six cameras, a previous frame, LiDAR only as depth supervision at training.

Another image size, range or depth grid: call ``camera_4d_pipelines`` in the child config and put the two lists into
``data``.
"""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

dataset_type = 'NuScenesBEVDataset'
data_root = 'data/nuscenes/'
class_names = [
    'car',
    'truck',
    'construction_vehicle',
    'bus',
    'trailer',
    'barrier',
    'motorcycle',
    'bicycle',
    'pedestrian',
    'traffic_cone',
]
point_cloud_range = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
final_dim = (256, 704)
depth_bounds = (1.0, 60.0, 1.0)
depth_downsample = 16
modality = dict(use_camera=True, use_lidar=False)

train_pipeline, test_pipeline = camera_4d_pipelines(
    class_names=class_names,
    point_cloud_range=point_cloud_range,
    final_dim=final_dim,
    depth_bounds=depth_bounds,
    depth_downsample=depth_downsample,
)

test_data = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file=data_root + 'nuscenes_infos_val_4d_interval3_max60.pkl',
    pipeline=test_pipeline,
    classes=class_names,
    modality=modality,
    info_kind='4d',
    test_mode=True,
)
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=4,
    train=dict(
        type='SeededCBGSDataset',
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            ann_file=data_root + 'nuscenes_infos_train_4d_interval3_max60.pkl',
            pipeline=train_pipeline,
            classes=class_names,
            modality=modality,
            info_kind='4d',
            use_valid_flag=True,
        ),
    ),
    val=test_data,
    test=test_data,
)
