"""Toy experiment: a residual around AOA's attention, so that a cell starts as what the student says there."""

_base_ = './dualdistill.py'

model = dict(levels=dict(backbone1=dict(aligner=dict(residual=True)), backbone2=dict(aligner=dict(residual=True))))
