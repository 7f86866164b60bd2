"""Region weighting, step 1 of 4: every cell weighs the same; regions, scales and attention off.

The sum of the weights of a sample stays what regions and scales give, so that only their distribution is ablated.
Steps 2 and 3 add regions and object scales; step 4, attention, is the parent.
"""

_base_ = '../teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'

uniform = dict(spread='map', attention=None, fp_channel_attention=False)
model = dict(levels=dict(backbone1=dict(loss=uniform), backbone2=dict(loss=uniform), head=dict(loss=uniform)))
