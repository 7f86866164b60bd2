"""Toy experiment: the teacher's boxes as ground truth where nobody has labelled, and nothing else of the teacher."""

_base_ = './dualdistill_pseudo_labels.py'

model = dict(levels=dict(_delete_=True), response=None, inherit_head=False, unlabelled=dict(weight=None))
