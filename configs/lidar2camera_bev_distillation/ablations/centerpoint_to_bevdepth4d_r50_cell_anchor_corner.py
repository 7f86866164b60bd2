"""Ablation: a BEV cell is foreground when its lower corner lies in a box, as in the released code."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

model = dict(
    levels=dict(
        backbone1=dict(regions=dict(cell_anchor='corner')),
        backbone2=dict(regions=dict(cell_anchor='corner')),
        head=dict(regions=dict(cell_anchor='corner')),
    )
)
