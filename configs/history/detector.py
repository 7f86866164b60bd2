"""Toy experiment: BEVFormer that finds cars in single frames and is not asked for velocities. The others start from it.

Read at the centre of an object, as a CenterPoint head does, a velocity is learned in minutes; a DETR head was not seen
to.
"""

from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines

_base_ = '../quickstart/bevformer_toy.py'

data_root = 'data/ablation_history/'
class_names = ['car']
queue_length = 1
x_y_min = [-19.2, -19.2]
pillar_size = [0.4, 0.4, 8]
cells_per_pillar = 3  # maps have cells of 1.2 m
centre_range = [-24.0, -24.0, -10.0, 24.0, 24.0, 10.0]

model = dict(
    history=False,
    pts_bbox_head=dict(
        _delete_=True,
        type='BEVCenterHead',
        in_channels=64,
        tasks=[dict(class_names=class_names)],
        share_conv_channel=64,
        common_heads=dict(reg=(2, 1), height=(1, 1), dim=(3, 1), rot=(2, 1), vel=(2, 1)),
        num_heatmap_convs=1,
        separate_head=dict(type='SeparateHead', head_conv=64, final_kernel=1, init_bias=-2.19),
        velocity_mode='velocity',
        norm_bbox=True,
        loss_cls=dict(type='GaussianFocalLoss', reduction='mean'),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0, reduction='mean'),
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
            code_weights=[1.0] * 8 + [0.0] * 2,
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

train_pipeline, test_pipeline = bevformer_pipelines(
    class_names=class_names,
    point_cloud_range={{_base_.point_cloud_range}},
    cameras={{_base_.cameras}},
    queue_length=queue_length,
    motion=dict(motion_source={{_base_.motion_source}}),
    image=dict(
        scale=2 / 3,
        mean={{_base_.image_norm.mean}},
        std={{_base_.image_norm.std}},
        to_rgb={{_base_.image_norm.to_rgb}},
    ),
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)
split = dict(data_root=data_root, classes=class_names)
val = dict(ann_file=data_root + 'nuscenes_infos_val.pkl', pipeline=test_pipeline, **split)
data = dict(
    train=dict(ann_file=data_root + 'nuscenes_infos_train.pkl', pipeline=train_pipeline, **split), val=val, test=val
)
