"""Transformers on BEV maps: BEVFormer's encoder and its attentions."""

from .encoder import BEVFormerEncoder
from .spatial_cross_attention import PillarDeformableAttention, SpatialCrossAttention
from .temporal_self_attention import TemporalSelfAttention

__all__ = ['BEVFormerEncoder', 'PillarDeformableAttention', 'SpatialCrossAttention', 'TemporalSelfAttention']
