"""nuScenes for camera students with a memory: queues of four keyframes of whole images; tests see one keyframe.

Ordinary info files serve, and every training sample comes once an epoch. Images are normalised as released: BGR less a
mean. The motion vector wants nuScenes' CAN bus expansion, see docs/data.md. Another normalisation, queue or source of
motion: call ``bevformer_pipelines`` in the child config and put the two lists into ``data``.
"""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

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
cameras = ['CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT']
queue_length = 4
modality = dict(use_camera=True, use_lidar=False)

train_pipeline, test_pipeline = bevformer_pipelines(
    class_names=class_names,
    point_cloud_range=point_cloud_range,
    cameras=cameras,
    queue_length=queue_length,
    distortion=dict(),
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
    samples_per_gpu=1,
    workers_per_gpu=4,
    train=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file=data_root + 'nuscenes_infos_train.pkl',
        pipeline=train_pipeline,
        classes=class_names,
        modality=modality,
        use_valid_flag=True,
    ),
    val=test_data,
    test=test_data,
)
