"""Toy experiment: LidarFormer's boxes as ground truth for BEVFormer where nobody has labelled, and nothing else."""

_base_ = './bevformer_unlabelled.py'

model = dict(levels=dict(_delete_=True), inherit_head=False, unlabelled=dict(pseudo_labels=True, weight=None))
