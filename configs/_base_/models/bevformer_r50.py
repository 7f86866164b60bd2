"""BEVFormer, ResNet-50 on whole 928x1600 images, 0.512 m BEV cells, range +-51.2 m: BEV map 256@200x200, 900 queries.

The order of the cameras is that of published weights. ``checkpoints/resnet50-0676ba61.pth`` is torchvision's ImageNet
file (https://download.pytorch.org/models/); without it training starts from random weights and says so.
"""

bevformer_range = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
bevformer_dims = 256
bevformer_levels = 4

model = dict(
    type='BEVFormer',
    cameras=['CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK', 'CAM_BACK_LEFT', 'CAM_BACK_RIGHT'],
    motion_source='can',
    grid_mask=dict(prob=0.7),
    img_backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        with_cp=True,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/resnet50-0676ba61.pth'),
    ),
    img_neck=dict(
        type='FPN',
        in_channels=[512, 1024, 2048],
        out_channels=bevformer_dims,
        num_outs=bevformer_levels,
        add_extra_convs='on_output',
    ),
    bev_encoder=dict(
        type='BEVFormerEncoder',
        point_cloud_range=bevformer_range,
        bev_size=(200, 200),
        embed_dims=bevformer_dims,
        num_layers=6,
        num_heads=8,
        num_levels=bevformer_levels,
        num_cams=6,
        feedforward_channels=512,
        pillar_points=4,
        temporal_points=4,
        spatial_points=8,
        dropout=0.1,
    ),
    pts_bbox_head=dict(
        type='DETRBEVHead',
        in_channels=bevformer_dims,
        class_names=[
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
        ],
        num_query=900,
        transformer=dict(
            type='QueryTransformer', num_layers=6, num_heads=8, num_points=4, feedforward_channels=512, dropout=0.1
        ),
        bbox_coder=dict(
            type='QueryBoxCoder',
            pc_range=bevformer_range,
            post_center_range=[-61.2, -61.2, -10.0, 61.2, 61.2, 10.0],
            max_num=300,
        ),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
        loss_bbox=dict(type='L1Loss', loss_weight=0.25),
        code_weights=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2],
    ),
    train_cfg=dict(
        pts=dict(
            assigner=dict(
                type='HungarianBoxAssigner',
                cls_cost=dict(type='FocalLossCost', weight=2.0),
                reg_cost=dict(type='BoxCodeL1Cost', weight=0.25),
            )
        )
    ),
)
