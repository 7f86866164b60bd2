"""Weights of a file in half precision: half the size, computed with in float32 as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..structures.atomic_file import replace_when_done

SMALLEST = 1024  # numbers; what is smaller is not worth its rounding


def store_half_weights(source: str | Path, target: str | Path) -> int:
    """Write a file anew: each large float32 weight becomes float16, with a cast to float32 behind it.

    Nothing else changes, so that the file runs wherever it ran before; onnxruntime casts once, when it opens the file.

    Args:
        source: float32 file of an export.
        target: file to write; may be the same.

    Returns:
        Number of weights that were halved.

    Raises:
        ValueError: a weight is beyond what half precision holds; names it.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(source)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < SMALLEST:
            continue
        values = numpy_helper.to_array(weight)
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ValueError(
                f'{source}: weight {weight.name} holds {np.abs(values).max():g}, too large for half precision'
            )
        name, half = weight.name, f'{weight.name}.half'
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node('Cast', [half], [name], f'{name}.cast', to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    with replace_when_done(target) as temporary:
        onnx.save(model, temporary)
    return len(casts)
