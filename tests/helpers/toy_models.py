"""Small models that run a training step in well under a second on a CPU core."""

TASKS = [
    dict(class_names=['car']),
    dict(class_names=['truck', 'construction_vehicle']),
    dict(class_names=['bus', 'trailer']),
    dict(class_names=['barrier']),
    dict(class_names=['motorcycle', 'bicycle']),
    dict(class_names=['pedestrian', 'traffic_cone']),
]
TOY_RANGE = (-12.8, -12.8, -5.0, 12.8, 12.8, 3.0)


def toy_head_cfg(in_channels, range=TOY_RANGE, voxel=0.4, factor=4, share_channels=16, **overrides):
    """BEVCenterHead config with its train_cfg and test_cfg inside.

    Args:
        in_channels: channels of the BEV map.
        range: (x_min, y_min, z_min, x_max, y_max, z_max), metres.
        voxel: voxel edge along x and y, metres.
        factor: voxels per BEV cell and axis.
        share_channels: width of the head.
        overrides: replace top-level entries.
    """
    sizes = [round((range[axis + 3] - range[axis]) / voxel) for axis in (0, 1)]
    box_range = [range[0] - 2, range[1] - 2, -10.0, range[3] + 2, range[4] + 2, 10.0]
    cfg = dict(
        type='BEVCenterHead',
        in_channels=in_channels,
        tasks=[dict(class_names=list(task['class_names'])) for task in TASKS],
        common_heads=dict(reg=(2, 2), height=(1, 2), dim=(3, 2), rot=(2, 2), vel=(2, 2)),
        share_conv_channel=share_channels,
        separate_head=dict(type='SeparateHead', init_bias=-2.19, final_kernel=3, head_conv=share_channels),
        bbox_coder=dict(
            type='CenterPointBBoxCoder',
            pc_range=list(range[:2]),
            post_center_range=box_range,
            max_num=100,
            score_threshold=0.1,
            out_size_factor=factor,
            voxel_size=[voxel, voxel],
            code_size=9,
        ),
        loss_cls=dict(type='GaussianFocalLoss', reduction='mean'),
        loss_bbox=dict(type='L1Loss', reduction='mean', loss_weight=0.25),
        norm_bbox=True,
        train_cfg=dict(
            point_cloud_range=list(range),
            grid_size=[*sizes, 1],
            voxel_size=[voxel, voxel, range[5] - range[2]],
            out_size_factor=factor,
            dense_reg=1,
            gaussian_overlap=0.1,
            max_objs=100,
            min_radius=2,
            code_weights=[1.0] * 8 + [0.2] * 2,
        ),
        test_cfg=dict(
            post_center_limit_range=box_range,
            score_threshold=0.1,
            nms_type='rotate',
            nms_thr=0.2,
            min_radius=[4, 12, 10, 1, 0.85, 0.175],
            pre_max_size=1000,
            post_max_size=83,
        ),
    )
    cfg.update(overrides)
    return cfg


def toy_centerpoint_cfg(range=TOY_RANGE, voxel=0.4, dynamic=True, channels=(8, 16, 32), out_channels=16):
    """CenterPointBEV config; 64 x 64 canvas, 16 x 16 head map by default.

    Args:
        range: (x_min, y_min, z_min, x_max, y_max, z_max), metres; x and y extents a multiple of 8 voxels.
        voxel: pillar edge, metres.
        dynamic: dynamic pillars, or hard ones (10 points, 4000 pillars).
        channels: of the three backbone stages; the canvas has ``channels[0]``.
        out_channels: of each neck branch.
    """
    sizes = [round((range[axis + 3] - range[axis]) / voxel) for axis in (0, 1)]
    voxel_size = [voxel, voxel, range[5] - range[2]]
    head = toy_head_cfg(3 * out_channels, range=range, voxel=voxel)
    train_cfg, test_cfg = head.pop('train_cfg'), head.pop('test_cfg')
    encoder = dict(in_channels=5, feat_channels=[channels[0]], voxel_size=voxel_size, point_cloud_range=list(range))
    if dynamic:
        limits, encoder = dict(max_num_points=-1, max_voxels=-1), dict(type='DynamicPillarEncoder', **encoder)
    else:
        limits = dict(max_num_points=10, max_voxels=(4000, 4000))
        encoder = dict(type='PillarFeatureNet', legacy=False, **encoder)
    return dict(
        type='CenterPointBEV',
        pts_voxel_layer=dict(voxel_size=voxel_size, point_cloud_range=list(range), **limits),
        pts_voxel_encoder=encoder,
        pts_middle_encoder=dict(type='PointPillarsScatter', in_channels=channels[0], output_shape=sizes[::-1]),
        pts_backbone=dict(
            type='SECOND',
            in_channels=channels[0],
            out_channels=list(channels),
            layer_nums=[1, 1, 1],
            layer_strides=[2, 2, 2],
        ),
        pts_neck=dict(
            type='SECONDFPN',
            in_channels=list(channels),
            out_channels=[out_channels] * 3,
            upsample_strides=[0.5, 1, 2],
            use_conv_for_no_stride=True,
        ),
        pts_bbox_head=head,
        train_cfg=dict(pts=train_cfg),
        test_cfg=dict(pts=test_cfg),
    )


def toy_bevdepth_cfg(
    range=TOY_RANGE,
    cell=1.6,
    image_size=(64, 176),
    channels=(16, 24, 32),
    out_channels=16,
    num_frames=2,
    velocity_mode='displacement',
):
    """BEVDepth4D config; 16 x 16 BEV map and head map by default, the size of toy_centerpoint_cfg's head map.

    Args:
        range: (x_min, y_min, z_min, x_max, y_max, z_max), metres.
        cell: edge of a BEV cell, metres; x and y extents are a multiple of 2 cells.
        image_size: (H, W), pixels, multiples of 16.
        channels: of the three BEV backbone stages.
        out_channels: of the BEV neck.
        num_frames: 1 or 2.
        velocity_mode: of the head.
    """
    context = 8
    head = toy_head_cfg(out_channels, range=range, voxel=cell / 4, velocity_mode=velocity_mode)
    train_cfg, test_cfg = head.pop('train_cfg'), head.pop('test_cfg')
    train_cfg['code_weights'] = [1.0] * 10
    return dict(
        type='BEVDepth4D',
        img_backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(2, 3), norm_eval=False),
        img_neck=dict(type='FinestFPN', in_channels=[32, 64], out_channels=16),
        img_view_transformer=dict(
            type='LSSViewTransform',
            in_channels=16,
            out_channels=context,
            image_size=image_size,
            stride=16,
            xbound=(range[0], range[3], cell),
            ybound=(range[1], range[4], cell),
            zbound=(-10.0, 10.0),
            depth_bound=(1.0, 17.0, 1.0),
            depth_channels=16,
            depth_blocks=1,
        ),
        pre_process_net=dict(
            type='ResidualEncoder', in_channels=context, channels=(context,), num_blocks=(1,), strides=(1,)
        ),
        img_bev_encoder_backbone=dict(
            type='ResidualEncoder', in_channels=context * num_frames, channels=channels, num_blocks=(1, 1, 1)
        ),
        img_bev_encoder_neck=dict(type='LSSFPN', in_channels=(channels[0], channels[2]), out_channels=out_channels),
        pts_bbox_head=head,
        point_cloud_range=range,
        num_frames=num_frames,
        train_cfg=dict(pts=train_cfg),
        test_cfg=dict(pts=test_cfg),
    )


def toy_lidarformer_cfg(range=TOY_RANGE, voxel=0.4, virtual=False, dims=16, layers=2, head=None):
    """LidarFormer config: two sparse stages, a CenterPoint head on a BEV map of 16 x 16 cells by default.

    Args:
        range: (x_min, y_min, z_min, x_max, y_max, z_max), metres; x and y extents a multiple of 8 voxels, z of 4 m.
        voxel: voxel edge along x and y, metres; along z it is 0.5 m.
        virtual: dynamic voxels of virtual points (17 numbers), as MVPFormer, or hard ones of points with 5.
        dims: channels of the transformer.
        layers: of the BEV encoder.
        head: config of another head.
    """
    size_x, size_y = (round((range[axis + 3] - range[axis]) / voxel) for axis in (0, 1))
    size_z = round((range[5] - range[2]) / 0.5)
    limits = dict(max_num_points=-1, max_voxels=-1) if virtual else dict(max_num_points=10, max_voxels=(4000, 4000))
    mean = dict(type='VirtualVoxelEncoder') if virtual else dict(type='HardSimpleVFE', num_features=5)
    head = toy_head_cfg(dims, range=range, voxel=voxel) if head is None else dict(head)
    sections = {name: dict(pts=head.pop(name)) for name in ('train_cfg', 'test_cfg') if name in head}
    return dict(
        type='LidarFormer',
        pts_voxel_layer=dict(voxel_size=[voxel, voxel, 0.5], point_cloud_range=list(range), **limits),
        pts_voxel_encoder=mean,
        pts_middle_encoder=dict(
            type='BEVSparseEncoder',
            in_channels=23 if virtual else 5,
            sparse_shape=[size_z + 1, size_y, size_x],
            base_channels=8,
            output_channels=8,
            encoder_channels=((8, 16), (16, 16), (16,)),
            encoder_paddings=((0, 1), (0, [0, 1, 1]), (0,)),
            block_type='basicblock',
        ),
        pts_backbone=dict(type='SECOND', in_channels=8, out_channels=[16, 16], layer_nums=[1, 1], layer_strides=[1, 2]),
        pts_neck=dict(
            type='FPN',
            in_channels=[16, 16],
            out_channels=dims,
            num_outs=3,
            norm_cfg=dict(type='BN', eps=1e-3, momentum=0.01),
            act_cfg=dict(type='ReLU', inplace=False),
        ),
        bev_encoder=dict(
            type='DeformableBEVEncoder',
            bev_size=[size_y // 4, size_x // 4],
            embed_dims=dims,
            num_levels=3,
            num_layers=layers,
            num_heads=2,
            num_points=2,
            feedforward_channels=2 * dims,
        ),
        pts_bbox_head=head,
        **sections,
    )
