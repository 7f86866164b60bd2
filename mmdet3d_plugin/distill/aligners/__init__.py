"""Aligners: student BEV map in, teacher-shaped BEV map out."""

from ..registry import DISTILL as ALIGNERS  # the name that aligners were registered under before
from .aoa import AOAAligner
from .base import Aligner, build_aligner
from .conv1x1 import Conv1x1Aligner
from .orthogonal import OrthogonalProjection
from .position_attention import PositionAttention
from .upsample_conv import UpsampleConvAligner

__all__ = [
    'ALIGNERS',
    'AOAAligner',
    'Aligner',
    'Conv1x1Aligner',
    'OrthogonalProjection',
    'PositionAttention',
    'UpsampleConvAligner',
    'build_aligner',
]
