"""Toy experiment: AOA's queries hold the student map, so that a cell asks by what is there."""

_base_ = './dualdistill.py'

aligner = dict(content=True)
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)))
