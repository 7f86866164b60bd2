"""Toy experiment: DistillBEV's aligners and no response loss, boxes of 20 % of the scenes, the teacher on all."""

_base_ = './dualdistill_unlabelled.py'

aligner = dict(_delete_=True, type='UpsampleConvAligner')
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)), response=None)
