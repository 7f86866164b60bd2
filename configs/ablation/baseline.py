"""Toy experiment: the trained student goes on without a teacher, as long as the others do with one."""

_base_ = '../quickstart/bevdepth4d_toy.py'

load_from = 'outputs/ablation/student/epoch_4.pth'
optimizer = dict(lr=1e-3)
