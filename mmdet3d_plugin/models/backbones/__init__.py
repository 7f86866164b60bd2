"""Backbones on BEV maps."""

from .residual_encoder import ResidualEncoder

__all__ = ['ResidualEncoder']
