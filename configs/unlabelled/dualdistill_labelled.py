"""Toy experiment: the whole method, from the 20 % of the scenes that are labelled alone."""

_base_ = '../quickstart/dualdistill_toy.py'

data = dict(train=dict(labelled=dict(share=0.2, seed=0, use='labelled', times=5)))
