"""BEVFormer, ResNet-50 on whole 928x1600 images, 0.512 m BEV cells, range +-51.2 m: BEV map 256@200x200, 900 queries.

The order of the cameras is that of published weights. ``checkpoints/resnet50-0676ba61.pth`` is torchvision's ImageNet
file (https://download.pytorch.org/models/); without it training starts from random weights and says so.
"""

_base_ = './detr_bev_head.py'

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
        out_channels={{_base_.query_dims}},
        num_outs=bevformer_levels,
        add_extra_convs='on_output',
    ),
    bev_encoder=dict(
        type='BEVFormerEncoder',
        point_cloud_range={{_base_.query_range}},
        bev_size=(200, 200),
        embed_dims={{_base_.query_dims}},
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
    pts_bbox_head={{_base_.query_head}},
    train_cfg={{_base_.query_train_cfg}},
)
