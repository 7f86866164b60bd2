"""CenterPoint teacher, dynamic pillars with mmdet3d's 11 inputs a point: the layout of its DynamicPillarFeatureNet."""

_base_ = './centerpoint_pillar02_dynamic_cbgs_20e_nus.py'

model = dict(pts_voxel_encoder=dict(center_dims=3))
