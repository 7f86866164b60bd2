"""LidarFormer on 0.064 x 0.064 x 0.2 m hard voxels, range +-51.2 m: BEV map 256@200x200, 900 queries, ten classes.

MVPFormer replaces ``pts_voxel_layer`` and ``pts_voxel_encoder``, and takes 23 numbers a voxel.
"""

_base_ = './detr_bev_head.py'

lidarformer_bn_1d = dict(type='BN1d', eps=1e-3, momentum=0.01)
lidarformer_bn_2d = dict(type='BN', eps=1e-3, momentum=0.01)

model = dict(
    type='LidarFormer',
    pts_voxel_layer=dict(
        max_num_points=10,
        max_voxels=(90000, 120000),
        voxel_size=[0.064, 0.064, 0.2],
        point_cloud_range={{_base_.query_range}},
    ),
    pts_voxel_encoder=dict(type='HardSimpleVFE', num_features=5),
    pts_middle_encoder=dict(
        type='BEVSparseEncoder',
        in_channels=5,
        sparse_shape=[41, 1600, 1600],
        norm_cfg=lidarformer_bn_1d,
        base_channels=16,
        output_channels=128,
        encoder_channels=((16, 16, 32), (32, 32, 64), (64, 64, 128), (128, 128)),
        encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0, [0, 1, 1]), (0, 0)),
        block_type='basicblock',
    ),
    pts_backbone=dict(
        type='SECOND',
        in_channels=256,
        out_channels=[128, 256],
        layer_nums=[5, 5],
        layer_strides=[1, 2],
        norm_cfg=lidarformer_bn_2d,
        conv_cfg=dict(type='Conv2d', bias=False),
    ),
    pts_neck=dict(
        type='FPN',
        in_channels=[128, 256],
        out_channels={{_base_.query_dims}},
        num_outs=4,
        norm_cfg=lidarformer_bn_2d,
        act_cfg=dict(type='ReLU'),
    ),
    bev_encoder=dict(
        type='DeformableBEVEncoder',
        bev_size=(200, 200),
        embed_dims={{_base_.query_dims}},
        num_levels=4,
        num_layers=6,
        num_heads=8,
        num_points=4,
        feedforward_channels=512,
        dropout=0.1,
    ),
    pts_bbox_head={{_base_.query_head}},
    train_cfg={{_base_.query_train_cfg}},
)
