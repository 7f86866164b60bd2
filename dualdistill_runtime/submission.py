"""Detections of many samples as a nuScenes submission file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .detections import Detections
from .global_boxes import Keyframes, converted, possible
from .submission_text import RESULTS_FILE, submission_text


def write_submission(
    found: Sequence[Detections], infos: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], folder: str | Path
) -> Path:
    """Write ``results_nusc.json``, the file that ``tools/test.py`` writes of the same detections.

    Args:
        found: Of each sample.
        infos: Of the same samples.
        facts: Of the student's file: classes, their evaluation ranges, modality.
        folder: Where to write.
    """
    counts = [len(sample.scores) for sample in found]
    columns = dict(
        numbers=np.concatenate([sample.boxes for sample in found]).astype(np.float64),
        scores=np.concatenate([sample.scores for sample in found]).astype(np.float64),
        labels=np.concatenate([sample.labels for sample in found]),
        sample=np.repeat(np.arange(len(found)), counts),
    )
    kept = possible(columns['numbers'])
    columns = {name: values[kept] for name, values in columns.items()}
    keyframes = Keyframes.of(infos)
    boxes = converted(columns, keyframes, facts['classes'], facts['class_range'])
    path = Path(folder) / RESULTS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{RESULTS_FILE}.{os.getpid()}.tmp')
    try:
        with open(temporary, 'w') as stream:
            stream.writelines(submission_text(boxes, keyframes.tokens.tolist(), facts['modality']))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
