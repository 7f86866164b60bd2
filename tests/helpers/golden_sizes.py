"""Sizes that shrink full-size configs of students and teachers to a range of 25.6 m, by the type of the detector."""

from helpers.batch import TOY_RANGE

_BOX_RANGE = [-15.0, -15.0, -10.0, 15.0, 15.0, 10.0]
_HEAD = dict(share_conv_channel=16, separate_head=dict(head_conv=16))
_BEVDEPTH = dict(
    point_cloud_range=list(TOY_RANGE),
    img_backbone=dict(depth=18, base_channels=8, init_cfg=None),
    img_neck=dict(in_channels=[32, 64], out_channels=16),
    img_view_transformer=dict(
        in_channels=16,
        out_channels=8,
        image_size=(64, 176),
        xbound=(-12.8, 12.8, 1.6),
        ybound=(-12.8, 12.8, 1.6),
        depth_bound=(1.0, 17.0, 1.0),
        depth_channels=16,
        depth_blocks=1,
    ),
    pre_process_net=dict(in_channels=8, channels=(8,), num_blocks=(1,)),
    img_bev_encoder_backbone=dict(in_channels=16, channels=(16, 24, 32), num_blocks=(1, 1, 1)),
    img_bev_encoder_neck=dict(in_channels=(16, 32), out_channels=16),
    pts_bbox_head=dict(
        in_channels=16,
        bbox_coder=dict(pc_range=list(TOY_RANGE[:2]), post_center_range=_BOX_RANGE, voxel_size=[0.2, 0.2]),
        **_HEAD,
    ),
    train_cfg=dict(pts=dict(point_cloud_range=list(TOY_RANGE), grid_size=[128, 128, 40], voxel_size=[0.2, 0.2, 0.2])),
    test_cfg=dict(pts=dict(post_center_limit_range=_BOX_RANGE)),
)
_PILLAR = [0.4, 0.4, 8.0]
_CENTERPOINT = dict(
    pts_voxel_layer=dict(voxel_size=_PILLAR, point_cloud_range=list(TOY_RANGE)),
    pts_voxel_encoder=dict(feat_channels=[8], voxel_size=_PILLAR, point_cloud_range=list(TOY_RANGE)),
    pts_middle_encoder=dict(in_channels=8, output_shape=[64, 64]),
    pts_backbone=dict(in_channels=8, out_channels=[8, 16, 32], layer_nums=[1, 1, 1]),
    pts_neck=dict(in_channels=[8, 16, 32], out_channels=[16, 16, 16]),
    pts_bbox_head=dict(
        in_channels=48,
        bbox_coder=dict(pc_range=list(TOY_RANGE[:2]), post_center_range=_BOX_RANGE, voxel_size=_PILLAR[:2]),
        **_HEAD,
    ),
    train_cfg=dict(pts=dict(point_cloud_range=list(TOY_RANGE), grid_size=[64, 64, 1], voxel_size=_PILLAR)),
    test_cfg=dict(pts=dict(post_center_limit_range=_BOX_RANGE)),
)
# attention without chance: dropout and masked images would make a loss depend on how torch draws numbers
_TRANSFORMER = dict(num_layers=2, num_heads=2, feedforward_channels=24, dropout=0.0)
_QUERY_HEAD = dict(
    in_channels=16,
    num_query=30,
    transformer=_TRANSFORMER,
    bbox_coder=dict(pc_range=list(TOY_RANGE), post_center_range=_BOX_RANGE, max_num=30),
)
_BEVFORMER = dict(
    grid_mask=None,
    img_backbone=dict(depth=18, base_channels=8, init_cfg=None),
    img_neck=dict(in_channels=[16, 32, 64], out_channels=16),
    bev_encoder=dict(point_cloud_range=list(TOY_RANGE), bev_size=(16, 16), embed_dims=16, **_TRANSFORMER),
    pts_bbox_head=_QUERY_HEAD,
)
_LIDARFORMER = dict(
    pts_voxel_layer=dict(voxel_size=[0.2, 0.2, 0.2], point_cloud_range=list(TOY_RANGE)),
    pts_middle_encoder=dict(
        sparse_shape=[41, 128, 128],
        base_channels=4,
        output_channels=8,
        encoder_channels=((4, 4, 8), (8, 8, 8), (8, 8, 8), (8, 8)),
    ),
    pts_backbone=dict(in_channels=16, out_channels=[8, 16], layer_nums=[1, 1]),
    pts_neck=dict(in_channels=[8, 16], out_channels=16),
    bev_encoder=dict(bev_size=(16, 16), embed_dims=16, **_TRANSFORMER),
    pts_bbox_head=_QUERY_HEAD,
)
SIZES = dict(BEVDepth4D=_BEVDEPTH, CenterPointBEV=_CENTERPOINT, BEVFormer=_BEVFORMER, LidarFormer=_LIDARFORMER)
