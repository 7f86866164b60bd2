"""Toy experiment: AOA's attention on tokens of 2x2 cells, with a residual for what is finer."""

_base_ = './dualdistill.py'

aligner = dict(residual=True, pool=2)
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)))
