"""Region weighting, step 2 of 4: weights by region; all foreground cells of a sample weigh the same."""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

regions = dict(spread='region', attention=None, fp_channel_attention=False)
model = dict(levels=dict(backbone1=dict(loss=regions), backbone2=dict(loss=regions), head=dict(loss=regions)))
