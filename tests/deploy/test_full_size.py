"""The full-size R50 as a file."""

import pytest
import torch
from helpers.deploy import settled

from dualdistill_runtime.detector import open_detector
from mmdet3d_plugin.deploy.export import export_student
from mmdet3d_plugin.deploy.verify import largest_difference, random_moments, runtime_outputs, torch_outputs
from mmdet3d_plugin.engine import build_model, load_config

CONFIG = 'configs/bevdepth/bevdepth4d_r50_256x704_cbgs_24e_nus.py'


@pytest.mark.slow
def test_outputs_are_those_of_torch(repo_root, monkeypatch, tmp_path):
    monkeypatch.chdir(repo_root)
    cfg = load_config(CONFIG)
    detector = build_model(cfg)
    view = detector.img_view_transformer
    sizes = dict(frustum=dict(image_size=view.image_size, stride=view.stride), cameras=list(range(6)), remembers=True)
    settled(detector, random_moments(dict(sizes, point_cloud_range=detector.point_cloud_range), 1, seed=7))
    graph = export_student(cfg, detector, tmp_path / 'student.onnx')
    runtime = open_detector(tmp_path / 'student.onnx')
    batch = random_moments(runtime.model.facts, 1)
    wanted = torch_outputs(detector, graph.head, batch)
    assert max(float(torch.from_numpy(value).std()) for value in wanted.values()) > 0.05
    assert largest_difference(wanted, runtime_outputs(runtime, batch)) < 1e-4
