"""Toy experiment: the whole method. The other distilled configs here differ from it by one thing each."""

_base_ = '../quickstart/dualdistill_toy.py'
