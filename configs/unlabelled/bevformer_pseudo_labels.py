"""Toy experiment: LidarFormer's boxes are ground truth for BEVFormer where nobody has labelled; no map is compared."""

_base_ = './bevformer_unlabelled_pseudo_labels.py'

model = dict(levels=dict(_delete_=True), unlabelled=dict(weight=None))
