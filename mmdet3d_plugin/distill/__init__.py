"""Distillation: a student, a frozen teacher and a list of level pairs."""

from . import aligners, losses

__all__ = ['aligners', 'losses']
