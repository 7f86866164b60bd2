"""nuScenes for LiDAR teachers: ten sweeps, class-balanced and ground-truth sampling, flips, turns and scales of the
whole scene.

The object database comes from ``tools/create_data.py nuscenes --gt-database``. Another range or sweep count, or no
ground-truth sampling: call ``lidar_pipelines`` in the child config and put the two lists into ``data``.
"""

from mmdet3d_plugin.datasets.pipelines.presets import lidar_pipelines

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
modality = dict(use_camera=False, use_lidar=True)
# the numbers of mmdet3d's CenterPoint configs
sample_groups = dict(
    car=2,
    truck=3,
    construction_vehicle=7,
    bus=4,
    trailer=6,
    barrier=2,
    motorcycle=6,
    bicycle=6,
    pedestrian=2,
    traffic_cone=2,
)

train_pipeline, test_pipeline = lidar_pipelines(
    class_names=class_names,
    point_cloud_range=point_cloud_range,
    num_sweeps=10,
    bev_aug=dict(rot_range=(-22.5, 22.5), scale_range=(0.95, 1.05), flip_x_prob=0.5, flip_y_prob=0.5),
    gt_sampling=dict(info_path=data_root + 'nuscenes_dbinfos_train.pkl', sample_groups=sample_groups, min_points=5),
)

test_data = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file=data_root + 'nuscenes_infos_val.pkl',
    pipeline=test_pipeline,
    classes=class_names,
    modality=modality,
    test_mode=True,
)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=4,
    train=dict(
        type='SeededCBGSDataset',
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            ann_file=data_root + 'nuscenes_infos_train.pkl',
            pipeline=train_pipeline,
            classes=class_names,
            modality=modality,
            use_valid_flag=True,
        ),
    ),
    val=test_data,
    test=test_data,
)
