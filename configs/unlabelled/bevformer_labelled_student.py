"""Toy experiment: BEVFormer without a teacher, from the 20 % of the scenes with labels. The others start from it."""

_base_ = '../quickstart/bevformer_toy.py'

data = dict(train=dict(labelled=dict(share=0.2, seed=0, use='labelled', times=5)))
