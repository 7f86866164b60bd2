"""Toy twin of BEVDepth4D: 64x176 images, stride 8, range +-19.2 m, thin network, minutes on a CPU."""

from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines

_base_ = '../bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py'

data_root = 'data/quickstart/'
point_cloud_range = [-19.2, -19.2, -5.0, 19.2, 19.2, 3.0]
box_range = [-24.0, -24.0, -10.0, 24.0, 24.0, 10.0]
final_dim = (64, 176)
depth_bounds = (1.0, 25.0, 1.0)
stride = 8

model = dict(
    point_cloud_range=point_cloud_range,
    img_backbone=dict(
        depth=18,
        base_channels=16,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(1, 2),
        init_cfg=None,
    ),
    img_neck=dict(in_channels=[32, 64], out_channels=48),
    img_view_transformer=dict(
        in_channels=48,
        out_channels=32,
        image_size=final_dim,
        stride=stride,
        xbound=(-19.2, 19.2, 0.8),
        ybound=(-19.2, 19.2, 0.8),
        depth_bound=depth_bounds,
        depth_channels=48,
        depth_blocks=1,
        depth_conv_cfg=None,
        loss_depth_weight=60.0,
    ),
    pre_process_net=dict(in_channels=32, channels=(32,), num_blocks=(1,)),
    img_bev_encoder_backbone=dict(in_channels=64, channels=(32, 64, 96), num_blocks=(1, 1, 1)),
    img_bev_encoder_neck=dict(in_channels=(32, 96), out_channels=32),
    pts_bbox_head=dict(
        in_channels=32,
        share_conv_channel=64,
        common_heads=dict(reg=(2, 1), height=(1, 1), dim=(3, 1), rot=(2, 1), vel=(2, 1)),
        num_heatmap_convs=1,
        separate_head=dict(head_conv=64, final_kernel=1),
        bbox_coder=dict(pc_range=point_cloud_range[:2], post_center_range=box_range, score_threshold=0.05, max_num=200),
    ),
    train_cfg=dict(pts=dict(point_cloud_range=point_cloud_range, grid_size=[384, 384, 40])),
    test_cfg=dict(pts=dict(post_center_limit_range=box_range, score_threshold=0.05)),
)

train_pipeline, test_pipeline = camera_4d_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range=point_cloud_range,
    final_dim=final_dim,
    depth_bounds=depth_bounds,
    depth_downsample=stride,
    image_aug=dict(resize_range=(0.0, 0.05), rot_range=(0.0, 0.0), flip_prob=0.0, test_resize=0.02),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)
split = dict(
    type='NuScenesBEVDataset',
    data_root=data_root,
    classes={{_base_.class_names}},
    modality=dict(use_camera=True, use_lidar=False),
    info_kind='4d',
)
val = dict(
    ann_file=data_root + 'nuscenes_infos_val_4d_interval3_max60.pkl', pipeline=test_pipeline, test_mode=True, **split
)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=2,
    train=dict(
        _delete_=True,
        ann_file=data_root + 'nuscenes_infos_train_4d_interval3_max60.pkl',
        pipeline=train_pipeline,
        use_valid_flag=True,
        **split,
    ),
    val=dict(_delete_=True, **val),
    test=dict(_delete_=True, **val),
)

optimizer = dict(lr=3e-3, fused=True)
lr_config = dict(
    _delete_=True,
    policy='CosineAnnealing',
    by_epoch=False,
    warmup='linear',
    warmup_iters=100,
    warmup_ratio=0.1,
    min_lr_ratio=1e-2,
)
runner = dict(max_epochs=4)
ema_config = dict(type='ExpMomentumEMAHook', momentum=0.01, total_iter=100)  # mean of the last 100 iterations or so
checkpoint_config = dict(interval=1, max_keep_ckpts=1)
evaluation = dict(interval=100, save_best=None)  # none while training
log_config = dict(interval=10)
