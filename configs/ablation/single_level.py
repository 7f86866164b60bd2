"""Toy experiment: one level, the head's input, instead of three."""

_base_ = './dualdistill.py'

model = dict(levels=dict(backbone1=None, backbone2=None))
