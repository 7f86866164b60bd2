"""Toy twin of the dynamic-pillar CenterPoint teacher: range +-19.2 m, thin network, minutes on a CPU."""

from mmdet3d_plugin.datasets.pipelines.presets import lidar_pipelines

_base_ = '../centerpoint/centerpoint_pillar02_dynamic_cbgs_20e_nus.py'

data_root = 'data/quickstart/'
point_cloud_range = [-19.2, -19.2, -5.0, 19.2, 19.2, 3.0]
box_range = [-24.0, -24.0, -10.0, 24.0, 24.0, 10.0]
bn_1d = dict(type='BN1d', eps=1e-3, momentum=0.1)
bn_2d = dict(type='BN', eps=1e-3, momentum=0.1)

pillar_size = [0.4, 0.4, 8]
# x, y, z, intensity, age, offsets to the mean of the pillar and to its centre: all of about one size
input_scale = [0.05, 0.05, 1.0, 0.02, 4.0, 3.0, 3.0, 2.0, 5.0, 5.0]
age_limits = [0.125, 0.375]  # the keyframe's points and those of two sweeps, a quarter of a second apart

model = dict(
    pts_voxel_layer=dict(voxel_size=pillar_size, point_cloud_range=point_cloud_range),
    pts_voxel_encoder=dict(
        feat_channels=[16, 16],
        voxel_size=pillar_size,
        point_cloud_range=point_cloud_range,
        norm_cfg=bn_1d,
        input_scale=input_scale,
        age_limits=age_limits,
    ),
    pts_middle_encoder=dict(in_channels=48, output_shape=[96, 96]),
    pts_backbone=dict(in_channels=48, out_channels=[32, 64, 128], layer_nums=[1, 3, 3], norm_cfg=bn_2d),
    pts_neck=dict(in_channels=[32, 64, 128], out_channels=[32, 32, 32], upsample_strides=[1, 2, 4], norm_cfg=bn_2d),
    pts_bbox_head=dict(
        in_channels=96,
        share_conv_channel=64,
        common_heads=dict(reg=(2, 1), height=(1, 1), dim=(3, 1), rot=(2, 1), vel=(2, 1)),
        num_heatmap_convs=1,
        separate_head=dict(head_conv=64, final_kernel=1),
        bbox_coder=dict(
            pc_range=point_cloud_range[:2],
            post_center_range=box_range,
            score_threshold=0.05,
            max_num=200,
            out_size_factor=2,
            voxel_size=pillar_size[:2],
        ),
    ),
    train_cfg=dict(
        pts=dict(
            code_weights=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 3.0, 3.0],
            point_cloud_range=point_cloud_range,
            grid_size=[96, 96, 1],
            voxel_size=pillar_size,
            out_size_factor=2,
        )
    ),
    test_cfg=dict(pts=dict(post_center_limit_range=box_range, score_threshold=0.05)),
)

train_pipeline, test_pipeline = lidar_pipelines(
    class_names={{_base_.class_names}},
    point_cloud_range=point_cloud_range,
    num_sweeps=3,
    random_sweeps=False,
    bev_aug=dict(rot_range=(0.0, 0.0), scale_range=(1.0, 1.0), flip_x_prob=0.5, flip_y_prob=0.5),
)
split = dict(
    type='NuScenesBEVDataset',
    data_root=data_root,
    classes={{_base_.class_names}},
    modality=dict(use_camera=False, use_lidar=True),
)
val = dict(ann_file=data_root + 'nuscenes_infos_val.pkl', pipeline=test_pipeline, test_mode=True, **split)
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=2,
    train=dict(
        _delete_=True,
        ann_file=data_root + 'nuscenes_infos_train.pkl',
        pipeline=train_pipeline,
        use_valid_flag=True,
        **split,
    ),
    val=dict(_delete_=True, **val),
    test=dict(_delete_=True, **val),
)

optimizer = dict(lr=5e-4, fused=True)
runner = dict(max_epochs=5)
ema_config = dict(type='ExpMomentumEMAHook', momentum=0.01, total_iter=100)  # mean of the last 100 iterations or so
checkpoint_config = dict(interval=1, max_keep_ckpts=1)
evaluation = dict(interval=100, save_best=None)  # none while training
log_config = dict(interval=10)
