"""Region weighting, step 3 of 4: weights by region and object size, no attention."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

scaled = dict(attention=None, fp_channel_attention=False)
model = dict(levels=dict(backbone1=dict(loss=scaled), backbone2=dict(loss=scaled), head=dict(loss=scaled)))
