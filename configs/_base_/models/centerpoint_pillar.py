"""CenterPoint on 0.2 m pillars, dynamic voxels, range +-51.2 m: BEV map 384@128x128, ten classes in six tasks.

The hard-voxel variant replaces ``pts_voxel_layer`` and ``pts_voxel_encoder`` only.
"""

pillar_range = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
pillar_size = [0.2, 0.2, 8]
pillars_per_cell = 4
pillar_box_range = [-61.2, -61.2, -10.0, 61.2, 61.2, 10.0]
pillar_tasks = [
    dict(class_names=['car']),
    dict(class_names=['truck', 'construction_vehicle']),
    dict(class_names=['bus', 'trailer']),
    dict(class_names=['barrier']),
    dict(class_names=['motorcycle', 'bicycle']),
    dict(class_names=['pedestrian', 'traffic_cone']),
]
pillar_bn_1d = dict(type='BN1d', eps=1e-3, momentum=0.01)
pillar_bn_2d = dict(type='BN', eps=1e-3, momentum=0.01)

model = dict(
    type='CenterPointBEV',
    pts_voxel_layer=dict(max_num_points=-1, max_voxels=-1, voxel_size=pillar_size, point_cloud_range=pillar_range),
    pts_voxel_encoder=dict(
        type='DynamicPillarEncoder',
        in_channels=5,
        feat_channels=[64],
        voxel_size=pillar_size,
        point_cloud_range=pillar_range,
        center_dims=2,
        norm_cfg=pillar_bn_1d,
    ),
    pts_middle_encoder=dict(type='PointPillarsScatter', in_channels=64, output_shape=[512, 512]),
    pts_backbone=dict(
        type='SECOND',
        in_channels=64,
        out_channels=[64, 128, 256],
        layer_nums=[3, 5, 5],
        layer_strides=[2, 2, 2],
        norm_cfg=pillar_bn_2d,
        conv_cfg=dict(type='Conv2d', bias=False),
    ),
    pts_neck=dict(
        type='SECONDFPN',
        in_channels=[64, 128, 256],
        out_channels=[128, 128, 128],
        upsample_strides=[0.5, 1, 2],
        norm_cfg=pillar_bn_2d,
        upsample_cfg=dict(type='deconv', bias=False),
        use_conv_for_no_stride=True,
    ),
    pts_bbox_head=dict(
        type='BEVCenterHead',
        in_channels=384,
        tasks=pillar_tasks,
        common_heads=dict(reg=(2, 2), height=(1, 2), dim=(3, 2), rot=(2, 2), vel=(2, 2)),
        share_conv_channel=64,
        bbox_coder=dict(
            type='CenterPointBBoxCoder',
            pc_range=pillar_range[:2],
            post_center_range=pillar_box_range,
            max_num=500,
            score_threshold=0.1,
            out_size_factor=pillars_per_cell,
            voxel_size=pillar_size[:2],
            code_size=9,
        ),
        separate_head=dict(type='SeparateHead', init_bias=-2.19, final_kernel=3),
        loss_cls=dict(type='GaussianFocalLoss', reduction='mean'),
        loss_bbox=dict(type='L1Loss', reduction='mean', loss_weight=0.25),
        norm_bbox=True,
    ),
    train_cfg=dict(
        pts=dict(
            point_cloud_range=pillar_range,
            grid_size=[512, 512, 1],
            voxel_size=pillar_size,
            out_size_factor=pillars_per_cell,
            dense_reg=1,
            gaussian_overlap=0.1,
            max_objs=500,
            min_radius=2,
            code_weights=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2],
        )
    ),
    test_cfg=dict(
        pts=dict(
            post_center_limit_range=pillar_box_range,
            score_threshold=0.1,
            nms_type='rotate',
            nms_thr=0.2,
            pre_max_size=1000,
            post_max_size=83,
        )
    ),
)
