"""Transformers on BEV maps."""

from .decoder import BoxRefiningDecoder, QueryTransformer

__all__ = ['BoxRefiningDecoder', 'QueryTransformer']
