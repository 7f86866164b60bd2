"""The full-size R50 as a file."""

import pytest
import torch
from helpers.deploy import settled

from dualdistill_runtime.detector import open_detector
from mmdet3d_plugin.deploy.export import export_student
from mmdet3d_plugin.deploy.verify import (
    example_feed,
    largest_difference,
    random_moments,
    runtime_outputs,
    torch_outputs,
)
from mmdet3d_plugin.engine import build_model, load_config

CONFIG = 'configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py'
pytestmark = pytest.mark.slow


@pytest.fixture
def student(repo_root, monkeypatch):
    """(whole config, detector with initial weights)."""
    monkeypatch.chdir(repo_root)
    cfg = load_config(CONFIG)
    return cfg, build_model(cfg).eval()


def test_outputs_are_those_of_torch(student, tmp_path):
    cfg, detector = student
    graph = export_student(cfg, detector, tmp_path / 'student.onnx')
    runtime = open_detector(tmp_path / 'student.onnx')
    batch = random_moments(runtime.model.facts, 1)
    wanted = torch_outputs(detector, graph.head, batch)
    assert largest_difference(wanted, runtime_outputs(runtime, batch)) < 1e-4


@torch.no_grad()
def test_the_file_is_as_near_to_double_precision_as_torch_is(student, tmp_path):
    """With residual branches and offsets that do take part: such a network itself has fewer digits."""
    cfg, detector = student
    view = detector.img_view_transformer
    sizes = dict(frustum=dict(image_size=view.image_size, stride=view.stride), cameras=list(range(6)), remembers=True)
    settled(detector, random_moments(dict(sizes, point_cloud_range=detector.point_cloud_range), 1, seed=7))
    graph = export_student(cfg, detector, tmp_path / 'student.onnx')
    runtime = open_detector(tmp_path / 'student.onnx')
    feed = example_feed(runtime)
    inputs = [torch.from_numpy(feed[name]) for name in graph.inputs]
    single = {name: value.numpy() for name, value in graph(*inputs).items()}
    inputs = [value.double() if value.is_floating_point() else value for value in inputs]
    double = {name: value.numpy() for name, value in graph.double()(*inputs).items()}
    assert max(value.std() for value in double.values()) > 0.1
    found = largest_difference(double, runtime.model.run(feed))
    assert found < 1.5 * largest_difference(double, single) and found < 2e-3
