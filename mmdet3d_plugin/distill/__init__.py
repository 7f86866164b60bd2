"""Distillation: a student, a frozen teacher and pairs of their levels."""

from . import aligners, losses
from .aligners import Aligner
from .distiller import Comparison, DualDistill, student_model_cfg
from .losses import FeatureLoss, ResponseLoss
from .registry import DISTILL
from .teacher import FrozenTeacher, TeacherInfo

__all__ = [
    'DISTILL',
    'Aligner',
    'Comparison',
    'DualDistill',
    'FeatureLoss',
    'FrozenTeacher',
    'ResponseLoss',
    'TeacherInfo',
    'aligners',
    'losses',
    'student_model_cfg',
]
