"""Toy experiment: the whole method. The other distilled configs here differ from it by one thing each.

Students start from an image branch that knows depth (depth.py). tools/ablation.py gives each seed its own.
"""

_base_ = '../quickstart/dualdistill_toy.py'

load_from = 'outputs/ablation/depth/epoch_3.pth'
