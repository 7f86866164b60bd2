"""Operators that torch's exporter writes in a way that is needlessly large, or that fixes the batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch.onnx import symbolic_helper

MIN_OPSET, MAX_OPSET = 17, 20  # 16 brought GridSample and sums of scattered rows, 17 LayerNormalization


@contextlib.contextmanager
def own_operators(opset: int) -> Iterator[None]:
    """Inside the block an export writes ``index_add`` and ``unflatten`` as below.

    Args:
        opset: of the export.
    """
    symbolics = {'aten::index_add': _index_add, 'aten::unflatten': _unflatten}
    for name, symbolic in symbolics.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, opset)
    try:
        yield
    finally:
        for name in symbolics:
            torch.onnx.unregister_custom_op_symbolic(name, opset)


@symbolic_helper.parse_args('v', 'i', 'v', 'v', 'v')
def _index_add(graph, data, dim, index, rows, alpha=None):
    """``ScatterElements`` with the index of a row for each of its numbers.

    ``ScatterND`` would take whole rows, but onnxruntime adds them in several threads at once: where a row goes to one
    that another thread adds to, it is lost.
    """
    if dim:
        raise ValueError(f'index_add along axis {dim}: an export adds rows along the first axis only')
    axis = graph.op('Constant', value_t=torch.tensor([1]))
    indices = graph.op('Expand', graph.op('Unsqueeze', index, axis), graph.op('Shape', rows))
    return graph.op('ScatterElements', data, indices, rows, axis_i=0, reduction_s='add')


@symbolic_helper.parse_args('v', 'i', 'v')
def _unflatten(graph, data, dim, sizes):
    """A reshape whose other lengths are read from the data, one by one.

    torch's own cuts them out of the shape in one piece, through which its inference of shapes cannot look. It falls
    back on the example's, and a batch of two is fixed in all that follows.
    """
    rank = data.type().dim()
    dim %= rank
    shape = graph.op('Shape', data)
    before, behind = ([_length(graph, shape, axis) for axis in axes] for axes in (range(dim), range(dim + 1, rank)))
    return graph.op('Reshape', data, graph.op('Concat', *before, *_listed(graph, sizes), *behind, axis_i=0))


def _length(graph, shape, axis):
    """One length of a shape, as a list of one."""
    return _as_list(graph, graph.op('Gather', shape, graph.op('Constant', value_t=torch.tensor(axis)), axis_i=0))


def _listed(graph, sizes):
    """Lists whose elements are the sizes: a constant as it is, computed ones each by itself."""
    node = sizes.node()
    return [_as_list(graph, size) for size in node.inputs()] if node.kind() == 'prim::ListConstruct' else [sizes]


def _as_list(graph, number):
    return graph.op('Unsqueeze', number, graph.op('Constant', value_t=torch.tensor([0])))
