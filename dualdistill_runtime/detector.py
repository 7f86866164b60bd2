"""Any exported student by the name of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Union

from .bevformer_detector import BEVFormerDetector
from .lift_splat_detector import LiftSplatDetector
from .model_file import ModelFile

Detector = Union[LiftSplatDetector, BEVFormerDetector]
FAMILIES = dict(BEVDepth4D=LiftSplatDetector, BEVFormer=BEVFormerDetector)


def open_detector(path: str | Path, **options: Any) -> Detector:
    """The detector of a file that ``tools/deploy/export_onnx.py`` wrote.

    Args:
        path: ONNX file.
        options: Of :class:`ModelFile`: ``threads`` and ``providers``.

    Raises:
        ImportError, FileNotFoundError, ValueError: See :class:`ModelFile`.
    """
    model = ModelFile(path, **options)
    return FAMILIES[model.facts['family']](model)
