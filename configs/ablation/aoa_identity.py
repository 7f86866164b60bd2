"""Toy experiment: AOA's orthogonal projection starts as the identity on the channels that both sides have."""

_base_ = './dualdistill.py'

aligner = dict(identity=True)
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)))
