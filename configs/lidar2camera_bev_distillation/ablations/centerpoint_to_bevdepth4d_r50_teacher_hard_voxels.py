"""Ablation: the teacher with hard voxels (20 points a pillar, 30000 or 40000 pillars)."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(
    teacher=dict(
        config='configs/centerpoint/centerpoint_pillar02_hard_cbgs_20e_nus.py',
        checkpoint='outputs/centerpoint_pillar02_hard_cbgs_20e_nus/epoch_20.pth',
    )
)
