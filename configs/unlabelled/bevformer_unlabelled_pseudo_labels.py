"""Toy experiment: as bevformer_unlabelled.py, and LidarFormer's boxes are ground truth where nobody has labelled."""

_base_ = './bevformer_unlabelled.py'

model = dict(unlabelled=dict(pseudo_labels=True))
