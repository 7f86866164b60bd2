"""A trained student -> an ONNX file of standard operators that says what it is."""

from __future__ import annotations

import copy
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmcv import Config
from torch import Tensor, nn

from dualdistill_runtime.detector import FAMILIES
from dualdistill_runtime.model_file import KEY

from ..compat import export_to_onnx
from ..models.detectors import BEVDepth4D, BEVDetector, BEVFormer
from ..structures.atomic_file import replace_when_done
from .bevformer_graph import BEVFormerGraph
from .deformable_conv import sampled_deformable_convs
from .lift_splat_graph import LiftSplatGraph
from .model_facts import StudentSteps, model_facts
from .symbolics import MAX_OPSET, MIN_OPSET, own_operators
from .verify import example_feed

GRAPHS: Mapping[type, type] = {BEVDepth4D: LiftSplatGraph, BEVFormer: BEVFormerGraph}
INSTALL = 'pip install -r requirements/deploy.txt'


class _Outputs(nn.Module):
    """A graph whose outputs come as a tuple, as exporters want it."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.graph(*values).values())


def require_onnx() -> None:
    """Stop at once when what an export needs is not installed.

    Raises:
        ImportError: names the package, and how to install it.
    """
    for name in ('onnx', 'onnxruntime'):
        try:
            __import__(name)
        except ImportError as error:
            raise ImportError(f'{name} is not installed; an export needs it: {INSTALL}') from error


def export_student(
    cfg: Config,
    detector: BEVDetector,
    path: str | Path,
    *,
    decoded: bool = False,
    opset: int = 17,
    camera_size: Sequence[int] | None = None,
    cameras: Sequence[str] | None = None,
) -> nn.Module:
    """Write a student's file.

    Args:
        cfg: its whole config.
        detector: trained; left as it is.
        path: file to write.
        decoded: boxes of the highest peaks come out, instead of maps or codes.
        opset: of ONNX.
        camera_size: (height, width) of the largest cameras' own images, where the network's size follows from it; None
            looks at the config's test set.
        cameras: names in the order of the network's camera axis; None looks at the config and its test set.

    Returns:
        The graph that was written, as a module of torch.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
        ValueError: a detector, head or layer that cannot be exported; names its place and the way out.
    """
    require_onnx()
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise ValueError(f'opset {opset}: choose one from {MIN_OPSET} to {MAX_OPSET}')
    graph = student_graph(detector, decoded)
    facts, steps = graph.facts(), StudentSteps(cfg, cameras)
    (facts.get('frustum') or facts['pillars'])['image_size'] = list(steps.input_size(camera_size))
    facts = model_facts(cfg, steps, detector, facts, opset)
    inputs = example_inputs(graph, facts)
    names = list(graph(*inputs))
    with replace_when_done(path) as temporary:
        _write(graph, inputs, names, temporary, opset)
        _describe(temporary, facts)
    return graph


def student_graph(detector: BEVDetector, decoded: bool = False) -> nn.Module:
    """The module that is exported, in evaluation mode, on the CPU, with copies of the detector's weights."""
    if type(detector) not in GRAPHS:
        raise ValueError(
            f'{type(detector).__name__} has no ONNX graph; known are {", ".join(kind.__name__ for kind in GRAPHS)}. '
            f'Add one in mmdet3d_plugin/deploy, as lift_splat_graph.py is one'
        )
    own = sampled_deformable_convs(copy.deepcopy(detector)).cpu().float().eval()
    for parameter in own.parameters():
        parameter.requires_grad_(False)
    return GRAPHS[type(detector)](own, decoded).eval()


def example_inputs(graph: nn.Module, facts: Mapping[str, Any], batch_size: int = 2, seed: int = 0) -> list[Tensor]:
    """Inputs of a graph for random moments without any before them, in its order."""
    feed = example_feed(FAMILIES[facts['family']](SimpleNamespace(facts=facts)), batch_size, seed)
    return [torch.from_numpy(feed[name]) for name in graph.inputs]


def _write(graph, inputs, names, path, opset):
    axes = dict(graph.inputs, **{name: {0: 'batch'} for name in names})
    wrapped = _Outputs(graph).eval()
    try:
        with torch.no_grad(), own_operators(opset), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of tracing: what is fixed is meant to be
            export_to_onnx(
                wrapped, tuple(inputs), path, input_names=list(graph.inputs), output_names=names, dynamic_axes=axes,
                opset_version=opset,
            )  # fmt: skip
    except torch.onnx.errors.UnsupportedOperatorError as error:
        raise ValueError(explain_unsupported(wrapped, inputs, error)) from error


def explain_unsupported(graph: nn.Module, inputs: Sequence[Tensor], error: Exception) -> str:
    """One sentence that names the operator, the module it stands in, and the way out."""
    found = re.search(r'[\'"]?((?:aten|prim|\w+)::\w+)', str(error))
    operator = found.group(1) if found else str(error).splitlines()[0]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        traced = torch.jit.trace(graph, tuple(inputs), check_trace=False)
    places = [node.scopeName() for node in traced.inlined_graph.nodes() if node.kind() == operator]
    place = (
        places[0].rpartition('/')[2].replace('__module.graph.detector.', '').replace('__module.', '') if places else ''
    )
    return (
        f'{place or "the model"}: ONNX has no operator for {operator}. Replace this layer in the config by one of '
        f'standard operations, or teach mmdet3d_plugin/deploy to write it, as deformable_conv.py does for mmcv'
    )


def _describe(path, facts):
    import onnx

    model = onnx.load(path)
    foreign = sorted(
        {f'{node.domain}::{node.op_type}' for node in model.graph.node if node.domain not in ('', 'ai.onnx')}
    )
    if foreign:
        raise ValueError(f'the graph holds {", ".join(foreign)}, which no standard runtime knows')
    onnx.helper.set_model_props(model, {KEY: json.dumps(facts)})
    onnx.checker.check_model(model)
    onnx.save(model, path)
