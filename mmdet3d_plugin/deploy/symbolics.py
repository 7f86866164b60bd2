"""Operators that torch's exporter would write in a way that is right and needlessly large."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

MIN_OPSET, MAX_OPSET = 17, 20  # 16 brought GridSample and sums of scattered rows, 17 LayerNormalization


@contextlib.contextmanager
def rows_added_at_once(opset: int) -> Iterator[None]:
    """Inside the block ``index_add`` along the first axis becomes one ``ScatterND`` that adds whole rows.

    torch's own way repeats each index for every number of its row.
    """
    torch.onnx.register_custom_op_symbolic('aten::index_add', _index_add, opset)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic('aten::index_add', opset)


def _index_add(graph, data, dim, index, rows, alpha=None):
    if dim.node().kind() != 'onnx::Constant' and dim.node().kind() != 'prim::Constant':
        raise ValueError('index_add: the axis must be known when the model is exported')
    axis = graph.op('Constant', value_t=torch.tensor([1]))
    return graph.op('ScatterND', data, graph.op('Unsqueeze', index, axis), rows, reduction_s='add')
