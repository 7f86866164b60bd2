"""Toy experiment: as dualdistill_unlabelled.py, with a residual around AOA's attention."""

_base_ = './dualdistill_unlabelled.py'

aligner = dict(residual=True)
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)))
