"""Toy experiment: the student that the others of a seed start from, trained without a teacher."""

_base_ = '../quickstart/bevdepth4d_toy.py'

work_dir = 'outputs/ablation/student'
