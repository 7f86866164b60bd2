"""CenterPoint teacher, hard pillars (20 points, 30000/40000 pillars): the layout of mmdet3d 1.0's model zoo."""

_base_ = './centerpoint_pillar02_dynamic_cbgs_20e_nus.py'

model = dict(
    pts_voxel_layer=dict(max_num_points=20, max_voxels=(30000, 40000)),
    pts_voxel_encoder=dict(
        _delete_=True,
        type='PillarFeatureNet',
        in_channels=5,
        feat_channels=[64],
        with_distance=False,
        voxel_size=[0.2, 0.2, 8],
        point_cloud_range=[-51.2, -51.2, -5.0, 51.2, 51.2, 3.0],
        norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.01),
        legacy=False,
    ),
)
