"""Toy twin of BEVFormer: 160x96 images, range +-19.2 m, cells of 1.2 m, thin network, minutes on a CPU."""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = './lidarformer_toy.py'

cameras = [
    'CAM_FRONT',
    'CAM_FRONT_RIGHT',
    'CAM_FRONT_LEFT',
    'CAM_BACK',
    'CAM_BACK_LEFT',
    'CAM_BACK_RIGHT',
]
motion_source = 'poses'
queue_length = 2
image_norm = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), to_rgb=True)

model = dict(
    _delete_=True,
    type='BEVFormer',
    cameras=cameras,
    img_backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=16,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(1, 2),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
    ),
    img_neck=dict(type='FPN', in_channels=[32, 64], out_channels=64, num_outs=2),
    bev_encoder=dict(
        type='BEVFormerEncoder',
        point_cloud_range={{_base_.point_cloud_range}},
        bev_size=(32, 32),
        embed_dims=64,
        num_layers=2,
        num_heads=4,
        num_levels=2,
        feedforward_channels=128,
        spatial_points=4,
        dropout=0.0,
    ),
    pts_bbox_head={{_base_.model.pts_bbox_head}},
    train_cfg={{_base_.model.train_cfg}},
    motion_source=motion_source,
    image_norm=image_norm,
)

train_pipeline, test_pipeline = bevformer_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range={{_base_.point_cloud_range}},
    cameras=cameras,
    queue_length=queue_length,
    motion=dict(motion_source=motion_source),
    # 240x135 -> 160x90, padded to 160x96
    image=dict(scale=2 / 3, **image_norm),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)
camera_only = dict(use_camera=True, use_lidar=False)
val = dict(pipeline=test_pipeline, modality=camera_only)
data = dict(train=dict(pipeline=train_pipeline, modality=camera_only), val=val, test=val)

runner = dict(max_epochs=4)
