"""Toy experiment: every cell weighs the same; regions, object scales and attention off."""

_base_ = './dualdistill.py'

uniform = dict(spread='map', attention=None, fp_channel_attention=False)
model = dict(levels=dict(backbone1=dict(loss=uniform), backbone2=dict(loss=uniform), head=dict(loss=uniform)))
