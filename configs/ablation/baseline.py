"""Toy experiment: the student without a teacher."""

_base_ = '../quickstart/bevdepth4d_toy.py'
