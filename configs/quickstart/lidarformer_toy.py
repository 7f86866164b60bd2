"""Toy twin of the LidarFormer teacher: range +-19.2 m, 0.4 m voxels, thin network, minutes on a CPU."""

from mmdet3d_plugin.datasets.pipelines.presets import lidar_pipelines

_base_ = ['../_base_/schedules/adamw_24e.py', '../_base_/runtime/default_runtime.py']

data_root = 'data/quickstart_bevformer/'
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
point_cloud_range = [-19.2, -19.2, -5.0, 19.2, 19.2, 3.0]
box_range = [-24.0, -24.0, -10.0, 24.0, 24.0, 10.0]
bn_1d = dict(type='BN1d', eps=1e-3, momentum=0.1)
bn_2d = dict(type='BN', eps=1e-3, momentum=0.1)

model = dict(
    type='LidarFormer',
    pts_voxel_layer=dict(
        voxel_size=[0.4, 0.4, 0.4],
        point_cloud_range=point_cloud_range,
        max_num_points=10,
        max_voxels=(8000, 8000),
    ),
    pts_voxel_encoder=dict(type='HardSimpleVFE', num_features=5),
    pts_middle_encoder=dict(
        type='BEVSparseEncoder',
        in_channels=5,
        sparse_shape=[21, 96, 96],
        norm_cfg=bn_1d,
        base_channels=16,
        output_channels=16,
        encoder_channels=((16, 32), (32,)),
        encoder_paddings=((1, 1), (1,)),
        block_type='basicblock',
    ),
    pts_backbone=dict(
        type='SECOND',
        in_channels=80,
        out_channels=[64, 96],
        layer_nums=[1, 1],
        layer_strides=[1, 2],
        norm_cfg=bn_2d,
    ),
    pts_neck=dict(
        type='FPN',
        in_channels=[64, 96],
        out_channels=64,
        num_outs=2,
        norm_cfg=bn_2d,
        act_cfg=dict(type='ReLU', inplace=False),
    ),
    bev_encoder=dict(
        type='DeformableBEVEncoder',
        bev_size=[32, 32],
        embed_dims=64,
        num_levels=2,
        num_layers=2,
        num_heads=4,
        num_points=4,
        feedforward_channels=128,
        dropout=0.0,
    ),
    pts_bbox_head=dict(
        type='DETRBEVHead',
        in_channels=64,
        class_names=class_names,
        num_query=100,
        num_groups=3,
        transformer=dict(type='QueryTransformer', num_layers=3, num_heads=4, feedforward_channels=128, dropout=0.0),
        bbox_coder=dict(type='QueryBoxCoder', pc_range=point_cloud_range, post_center_range=box_range, max_num=200),
    ),
    train_cfg=dict(pts=dict(assigner=dict(type='HungarianBoxAssigner'))),
)

train_pipeline, test_pipeline = lidar_pipelines(
    class_names=class_names,
    point_cloud_range=point_cloud_range,
    num_sweeps=2,
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)
split = dict(
    type='NuScenesBEVDataset',
    data_root=data_root,
    classes=class_names,
    modality=dict(use_camera=False, use_lidar=True),
)
val = dict(ann_file=data_root + 'nuscenes_infos_val.pkl', pipeline=test_pipeline, test_mode=True, **split)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=2,
    train=dict(ann_file=data_root + 'nuscenes_infos_train.pkl', pipeline=train_pipeline, use_valid_flag=True, **split),
    val=val,
    test=val,
)

optimizer = dict(lr=1e-3, fused=True)
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(
    _delete_=True,
    policy='CosineAnnealing',
    by_epoch=False,
    warmup='linear',
    warmup_iters=100,
    warmup_ratio=0.1,
    min_lr_ratio=1e-2,
)
runner = dict(max_epochs=6)
ema_config = dict(type='ExpMomentumEMAHook', momentum=0.01, total_iter=100)  # mean of the last 100 iterations or so
checkpoint_config = dict(interval=1, max_keep_ckpts=1)
evaluation = dict(interval=100, save_best=None)  # none while training
log_config = dict(interval=10)
