"""Transformers on BEV maps: BEVFormer's encoder and its attentions, and a decoder of object queries."""

from .decoder import BoxRefiningDecoder, QueryTransformer
from .encoder import BEVFormerEncoder
from .spatial_cross_attention import PillarDeformableAttention, SpatialCrossAttention
from .temporal_self_attention import TemporalSelfAttention

__all__ = [
    'BEVFormerEncoder',
    'BoxRefiningDecoder',
    'PillarDeformableAttention',
    'QueryTransformer',
    'SpatialCrossAttention',
    'TemporalSelfAttention',
]
