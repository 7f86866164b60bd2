"""Toy experiment: the whole method, on a trained student. The other distilled configs differ from it by one thing each.

tools/ablation.py gives each seed a student of its own to start from (student.py).
"""

_base_ = '../quickstart/dualdistill_toy.py'

load_from = 'outputs/ablation/student/epoch_4.pth'
model = dict(inherit_head=False)  # the trained student has heads
optimizer = dict(lr=1e-3)
