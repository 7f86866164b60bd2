"""Convolutions of a file in eight bits: onnxruntime's quantisation, static or dynamic."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..structures.atomic_file import replace_when_done
from .export import require_onnx

# Nearly all arithmetic of a student. Heads and depth nets stay in float32: their outputs are the answers.
PARTS = ('img_backbone', 'img_neck', 'img_bev_encoder_backbone', 'img_bev_encoder_neck')


def convolutions_of(model: object, parts: Sequence[str]) -> dict[str, list[str]]:
    """Names of the convolutions of some modules of the detector, module by module.

    Args:
        model: ``onnx.ModelProto``.
        parts: names of modules, such as ``img_backbone``; none: those of ``PARTS`` that the file has.

    Raises:
        ValueError: one of them has none.
    """
    names = [node.name for node in model.graph.node if node.op_type == 'Conv']  # type: ignore[attr-defined]
    by_part: dict[str, list[str]] = {}
    for name in names:
        if name.count('/') > 2:
            by_part.setdefault(name.split('/')[2], []).append(name)
    for part in parts:
        if part not in by_part:
            known = ', '.join(sorted(by_part))
            raise ValueError(f'{part}: no convolution of the file belongs to it; there are those of {known}')
    return {part: by_part[part] for part in parts or PARTS if part in by_part}


def quantize_file(
    source: str | Path,
    target: str | Path,
    calibration: Iterable[Mapping[str, np.ndarray]] | None = None,
    parts: Sequence[str] = (),
) -> dict[str, int]:
    """Write a file with the weights of some convolutions, and what goes into them, in eight bits.

    Weights have one scale per channel.

    Args:
        source: float32 file of an export.
        target: file to write.
        calibration: feeds of the graph, which give the ranges of what goes into the convolutions once and for all
            (static); None: each image gives its own (dynamic), at some cost.
        parts: modules whose convolutions are meant, see :func:`convolutions_of`.

    Returns:
        Name of a module -> number of its convolutions.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
        ValueError: see :func:`convolutions_of`; or half weights.
    """
    require_onnx()
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static

    model = onnx.load(source)
    if any(node.name.endswith('.cast') for node in model.graph.node):
        raise ValueError(f'{source}: its weights are in half precision; quantise the float32 file')
    nodes = convolutions_of(model, parts)
    options = dict(op_types_to_quantize=['Conv'], nodes_to_quantize=sum(nodes.values(), []), per_channel=True)
    logging.getLogger().addFilter(_without_hint)
    try:
        with replace_when_done(target) as temporary:
            if calibration is None:
                quantize_dynamic(str(source), str(temporary), weight_type=QuantType.QInt8, **options)
            else:
                reader = _Reader(calibration)
                types = dict(activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
                quantize_static(str(source), str(temporary), reader, **types, **options)
            _copy_facts(model, temporary)
    finally:
        logging.getLogger().removeFilter(_without_hint)
    return {part: len(names) for part, names in nodes.items()}


class _Reader:
    """Feeds one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, feeds: Iterable[Mapping[str, np.ndarray]]) -> None:
        self._feeds: Iterator[Mapping[str, np.ndarray]] = iter(feeds)

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._feeds, None)


def _without_hint(record):
    """Leaves out the advice to rewrite the file first: an export is folded already."""
    return 'pre-processing' not in record.getMessage()


def _copy_facts(source, path):
    """What a file says about itself goes with it."""
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    model.metadata_props.extend(source.metadata_props)
    onnx.save(model, path)
