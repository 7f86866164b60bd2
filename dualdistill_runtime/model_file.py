"""A student's ONNX file: what it says about itself, and its session."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

KEY = 'dualdistill'
FORMAT = 2
INSTALL = 'pip install onnxruntime'


class ModelFile:
    """A file that ``tools/deploy/export_onnx.py`` wrote, ready to run on the CPU or where ``providers`` say.

    Args:
        path: The file.
        threads: Of onnxruntime; None leaves it the choice.
        providers: Of onnxruntime, such as ``['CUDAExecutionProvider']``; default: the CPU.

    Attributes:
        facts: What the file says about itself.

    Raises:
        ImportError: onnxruntime is not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is no ONNX file, or not one of a student.
    """

    def __init__(self, path: str | Path, threads: int | None = None, providers: list[str] | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(f'onnxruntime is not installed; it runs exported students: {INSTALL}') from error
        if not Path(path).is_file():
            raise FileNotFoundError(f'no file {path}; tools/deploy/export_onnx.py makes one')
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers or ['CPUExecutionProvider'])
        except Exception as error:  # onnxruntime's own types derive from Exception alone
            raise ValueError(f'{path}: onnxruntime cannot read it ({str(error)[:200]})') from error
        self.facts = self._read_facts(path)
        self.input_shapes = {value.name: value.shape for value in self._session.get_inputs()}
        self.output_names = [value.name for value in self._session.get_outputs()]

    def _read_facts(self, path) -> dict[str, Any]:
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            raise ValueError(f'{path}: no student of this project (its metadata lack {KEY!r})')
        facts = json.loads(text)
        if facts['format'] != FORMAT:
            raise ValueError(
                f'{path}: written in format {facts["format"]}, this runtime reads {FORMAT}: export it anew'
            )
        return facts

    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name. Of the feed, what the graph does not read is left aside."""
        given = {name: feed[name] for name in self.input_shapes}
        return dict(zip(self.output_names, self._session.run(self.output_names, given)))
