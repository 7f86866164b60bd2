"""Toy experiment: as dualdistill_unlabelled.py, with AOA's attention on tokens of 2x2 cells and a residual."""

_base_ = './dualdistill_unlabelled.py'

aligner = dict(residual=True, pool=2)
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)))
