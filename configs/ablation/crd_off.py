"""Toy experiment: feature losses alone, no response loss."""

_base_ = './dualdistill.py'

model = dict(response=None)
