"""BEVDepth4D, ResNet-50 at 256x704, two frames, 0.8 m BEV cells, range +-51.2 m: BEV map 256@128x128, ten classes.

``checkpoints/resnet50-0676ba61.pth`` is torchvision's ImageNet file (https://download.pytorch.org/models/); without it
training starts from random weights and says so.
"""

student_range = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
student_voxel = [0.1, 0.1, 0.2]
student_voxels_per_cell = 8
student_box_range = [-61.2, -61.2, -10.0, 61.2, 61.2, 10.0]
student_context = 64

model = dict(
    type='BEVDepth4D',
    point_cloud_range=student_range,
    num_frames=2,
    img_backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet50-0676ba61.pth'),
    ),
    img_neck=dict(type='FinestFPN', in_channels=[1024, 2048], out_channels=512),
    img_view_transformer=dict(
        type='LSSViewTransform',
        in_channels=512,
        out_channels=student_context,
        image_size=(256, 704),
        stride=16,
        xbound=(-51.2, 51.2, 0.8),
        ybound=(-51.2, 51.2, 0.8),
        zbound=(-10.0, 10.0),
        depth_bound=(1.0, 60.0, 1.0),
        depth_channels=256,
        depth_blocks=3,
        loss_depth_weight=100.0,
    ),
    pre_process_net=dict(
        type='ResidualEncoder', in_channels=student_context, channels=(64,), num_blocks=(2,), strides=(1,)
    ),
    img_bev_encoder_backbone=dict(
        type='ResidualEncoder',
        in_channels=128,
        channels=(128, 256, 512),
        num_blocks=(2, 2, 2),
        strides=(2, 2, 2),
    ),
    img_bev_encoder_neck=dict(
        type='LSSFPN', in_channels=(128, 512), out_channels=256, extra_upsample=2, extra_norm_act=True
    ),
    pts_bbox_head=dict(
        type='BEVCenterHead',
        in_channels=256,
        tasks=[
            dict(class_names=['car']),
            dict(class_names=['truck', 'construction_vehicle']),
            dict(class_names=['bus', 'trailer']),
            dict(class_names=['barrier']),
            dict(class_names=['motorcycle', 'bicycle']),
            dict(class_names=['pedestrian', 'traffic_cone']),
        ],
        common_heads=dict(reg=(2, 2), height=(1, 2), dim=(3, 2), rot=(2, 2), vel=(2, 2)),
        share_conv_channel=64,
        velocity_mode='displacement',
        bbox_coder=dict(
            type='CenterPointBBoxCoder',
            pc_range=student_range[:2],
            post_center_range=student_box_range,
            max_num=500,
            score_threshold=0.1,
            out_size_factor=student_voxels_per_cell,
            voxel_size=student_voxel[:2],
            code_size=9,
        ),
        separate_head=dict(type='SeparateHead', init_bias=-2.19, final_kernel=3),
        loss_cls=dict(type='GaussianFocalLoss', reduction='mean'),
        loss_bbox=dict(type='L1Loss', reduction='mean', loss_weight=0.25),
        norm_bbox=True,
    ),
    train_cfg=dict(
        pts=dict(
            point_cloud_range=student_range,
            grid_size=[1024, 1024, 40],
            voxel_size=student_voxel,
            out_size_factor=student_voxels_per_cell,
            dense_reg=1,
            gaussian_overlap=0.1,
            max_objs=500,
            min_radius=2,
            code_weights=[1.0] * 10,
        )
    ),
    test_cfg=dict(
        pts=dict(
            post_center_limit_range=student_box_range,
            score_threshold=0.1,
            nms_type=['rotate', 'rotate', 'rotate', 'circle', 'rotate', 'rotate'],
            nms_thr=[0.2, 0.2, 0.2, 0.2, 0.2, 0.5],
            nms_rescale_factor=[1.0, [0.7, 0.7], [0.4, 0.55], 1.1, [1.0, 1.0], [4.5, 9.0]],
            min_radius=[4, 12, 10, 1, 0.85, 0.175],
            pre_max_size=1000,
            post_max_size=83,
        )
    ),
)
