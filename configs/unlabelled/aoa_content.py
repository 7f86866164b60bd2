"""Toy experiment: as dualdistill_unlabelled.py, with the student's map in AOA's queries."""

_base_ = './dualdistill_unlabelled.py'

aligner = dict(content=True)
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)))
