"""Distillation: a student, a frozen teacher and a list of level pairs."""

from . import aligners, losses
from .distiller import DualDistill, student_model_cfg
from .teacher import FrozenTeacher, TeacherInfo

__all__ = ['DualDistill', 'FrozenTeacher', 'TeacherInfo', 'aligners', 'losses', 'student_model_cfg']
