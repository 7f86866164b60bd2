"""DETR head of BEVFormer and LidarFormer: 900 queries, six decoder layers, ten classes, 256 channels, +-51.2 m."""

query_range = [-51.2, -51.2, -5.0, 51.2, 51.2, 3.0]
query_dims = 256

query_head = dict(
    type='DETRBEVHead',
    in_channels=query_dims,
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
        pc_range=query_range,
        post_center_range=[-61.2, -61.2, -10.0, 61.2, 61.2, 10.0],
        max_num=300,
    ),
    loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
    loss_bbox=dict(type='L1Loss', loss_weight=0.25),
    code_weights=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2],
)
query_train_cfg = dict(
    pts=dict(
        assigner=dict(
            type='HungarianBoxAssigner',
            cls_cost=dict(type='FocalLossCost', weight=2.0),
            reg_cost=dict(type='BoxCodeL1Cost', weight=0.25),
        )
    )
)
