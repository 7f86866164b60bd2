"""Toy experiment: the student without a teacher, from an image branch that knows depth (depth.py)."""

_base_ = '../quickstart/bevdepth4d_toy.py'

load_from = 'outputs/ablation/depth/epoch_3.pth'
