"""Toy experiment: as dualdistill_unlabelled.py, and the teacher's boxes are ground truth where nobody has labelled."""

_base_ = './dualdistill_unlabelled.py'

model = dict(unlabelled=dict(pseudo_labels=True))
