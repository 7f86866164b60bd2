"""Toy experiment: the detector learns velocities from the frame before. Its image branch stays as it is.

A CenterPoint head reads them at the centre of a car, where they are learned in minutes. The detector's own decoder
reads a ring of cells around it, and was not seen to learn them.
"""

_base_ = './detector.py'

load_from = 'outputs/ablation_history/detector/epoch_6.pth'
x_y_min = [-19.2, -19.2]
pillar_size = [0.4, 0.4, 8]
cells_per_pillar = 3  # maps have cells of 1.2 m
centre_range = [-24.0, -24.0, -10.0, 24.0, 24.0, 10.0]
model = dict(
    pts_bbox_head=dict(
        _delete_=True,
        type='BEVCenterHead',
        in_channels=64,
        tasks=[dict(class_names={{_base_.class_names}})],
        share_conv_channel=64,
        common_heads=dict(reg=(2, 1), height=(1, 1), dim=(3, 1), rot=(2, 1), vel=(2, 1)),
        num_heatmap_convs=1,
        separate_head=dict(type='SeparateHead', head_conv=64, final_kernel=1, init_bias=-2.19),
        velocity_mode='velocity',
        norm_bbox=True,
        loss_cls=dict(type='GaussianFocalLoss', reduction='mean'),
        loss_bbox=dict(type='L1Loss', loss_weight=0.5, reduction='mean'),
        bbox_coder=dict(
            type='CenterPointBBoxCoder',
            code_size=9,
            max_num=50,
            out_size_factor=cells_per_pillar,
            pc_range=x_y_min,
            post_center_range=centre_range,
            score_threshold=0.05,
            voxel_size=pillar_size[:2],
        ),
    ),
    train_cfg=dict(
        _delete_=True,
        pts=dict(
            code_weights=[1.0] * 8 + [10.0] * 2,
            dense_reg=1,
            gaussian_overlap=0.1,
            grid_size=[96, 96, 1],
            max_objs=100,
            min_radius=2,
            out_size_factor=cells_per_pillar,
            point_cloud_range={{_base_.point_cloud_range}},
            voxel_size=pillar_size,
        ),
    ),
    test_cfg=dict(
        pts=dict(
            nms_type='rotate',
            nms_thr=[0.2],
            nms_rescale_factor=[1.0],
            min_radius=None,
            post_center_limit_range=centre_range,
            post_max_size=50,
            pre_max_size=300,
            score_threshold=0.05,
        )
    ),
)

fixed = dict(lr_mult=0.0, decay_mult=0.0)
optimizer = dict(paramwise_cfg=dict(custom_keys=dict(img_backbone=fixed, img_neck=fixed)))
lr_config = dict(_delete_=True, policy='step', step=[3], warmup='linear', warmup_iters=50, warmup_ratio=0.1)
runner = dict(max_epochs=4)
