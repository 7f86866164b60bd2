"""Checkpoints from and for elsewhere: older code bases in, slim files out."""

from .legacy import Conversion, plan_conversion
from .legacy_geometry import check_geometry
from .publish import publish_file, student_weights

__all__ = ['Conversion', 'check_geometry', 'plan_conversion', 'publish_file', 'student_weights']
