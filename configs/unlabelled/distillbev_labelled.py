"""Toy experiment: as dualdistill_labelled.py with DistillBEV's aligners and no response loss."""

_base_ = './dualdistill_labelled.py'

aligner = dict(_delete_=True, type='UpsampleConvAligner')
model = dict(levels=dict(backbone1=dict(aligner=aligner), backbone2=dict(aligner=aligner)), response=None)
