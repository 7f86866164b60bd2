"""A GPU and the CPU agree on the losses of a distilled step."""

import pytest
import torch
from helpers.golden import make_model, tiny_batch, tiny_config
from helpers.unlabelled import mark
from mmcv.parallel import scatter

DISTILL = 'configs/lidar2camera_bev_distillation/teacher_to_bevdepth4d/centerpoint_to_bevdepth4d_r50_256x704.py'


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_losses_on_a_gpu_are_those_on_the_cpu(tmp_path, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    cfg = tiny_config(DISTILL, tmp_path)
    model = make_model(cfg)
    batch = tiny_batch(cfg, model)
    expected = model.forward_train(**batch)
    (moved,) = scatter(batch, [0])
    losses = model.cuda().forward_train(**moved)
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value.cpu(), expected[name], rtol=1e-2, atol=1e-5, msg=name)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('unlabelled', [[1], [0, 1]])
def test_samples_without_labels_on_a_gpu(tmp_path, repo_root, monkeypatch, unlabelled):
    """Boxes of the batch are on the CPU, the teacher's on the GPU."""
    monkeypatch.chdir(repo_root)
    cfg = tiny_config(DISTILL, tmp_path)
    cfg.model.unlabelled = dict(score_threshold=0.3, weight='score', pseudo_labels=len(unlabelled) == 1)
    model = make_model(cfg)
    (moved,) = scatter(mark(tiny_batch(cfg, model), unlabelled), [0])
    losses = model.cuda().forward_train(**moved)
    assert all(value.isfinite() for value in losses.values()) and losses['distill.head.raw_fg'] > 0
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
