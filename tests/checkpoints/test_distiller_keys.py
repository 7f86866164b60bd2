"""Checkpoint layout through torch and mmcv, plain and wrapped for distribution."""

import copy
import os

import pytest
import torch
from helpers.distill_fakes import build, distiller_cfg, make_batch, student_cfg, write_teacher
from mmcv.parallel import MMDataParallel, MMDistributedDataParallel
from mmcv.runner import load_checkpoint, save_checkpoint

from mmdet3d_plugin.distill import DISTILL
from mmdet3d_plugin.distill.losses import CrossHeadBoxLoss


class LearnedWeightResponse(CrossHeadBoxLoss):
    """A response loss with one parameter."""

    def __init__(self):
        super().__init__()
        self.log_weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, *args):
        losses = super().forward(*args)
        return {name: value * self.log_weight.exp() if 'loss' in name else value for name, value in losses.items()}


@pytest.fixture(autouse=True)
def _response_with_a_parameter(monkeypatch):
    monkeypatch.setitem(DISTILL.module_dict, 'LearnedWeightResponse', LearnedWeightResponse)


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp('teacher'))


def outputs(model):
    model.eval()
    return model.forward_train(**make_batch())


def assert_equal_models(first, second):
    ours, theirs = outputs(first), outputs(second)
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def shaken(model):
    """Every parameter and statistic off its initial value."""
    for value in model.state_dict().values():
        if value.is_floating_point() and value.ndim > 0:
            value.add_(0.05 * torch.rand_like(value))
    return model


def test_layout(teacher):
    model = build(distiller_cfg(teacher))
    student = build(student_cfg())
    keys = list(model.state_dict())
    assert [key for key in keys if not key.startswith('distill.')] == list(student.state_dict())
    rest = [key for key in keys if key.startswith('distill.')]
    assert all(key.startswith(('distill.aligners.', 'distill.losses.')) for key in rest)
    assert 'distill.aligners.backbone1.projection.projection.parametrizations.weight.original' in rest
    assert {key.split('.')[2] for key in rest} == {'backbone1', 'backbone2', 'head'}


def test_torch_round_trip_is_strict_and_leaves_the_source_alone(teacher):
    model, other = shaken(build(distiller_cfg(teacher))), build(distiller_cfg(teacher), seed=2)
    state = model.state_dict()
    keys, metadata = list(state), dict(state._metadata)
    other.load_state_dict(state)
    assert list(state) == keys
    assert_equal_models(model, other)
    build(student_cfg()).load_state_dict({k: v for k, v in state.items() if not k.startswith('distill.')})
    assert set(metadata) <= set(state._metadata)
    assert 'stem.1' in metadata and not any(key.startswith('student') for key in metadata)
    assert metadata['stem.1'] == dict(version=2) and state._metadata['student.stem.1'] == dict(version=2)


@pytest.mark.parametrize('wrap', [lambda model: model, lambda model: MMDataParallel(model, device_ids=[])])
def test_mmcv_round_trip_is_strict(teacher, tmp_path, wrap):
    model, other = shaken(build(distiller_cfg(teacher))), build(distiller_cfg(teacher), seed=2)
    path = str(tmp_path / 'distilled.pth')
    save_checkpoint(wrap(model), path)
    saved = torch.load(path, weights_only=True)['state_dict']
    assert list(saved) == list(model.state_dict())
    load_checkpoint(wrap(other), path, map_location='cpu', strict=True)
    assert_equal_models(model, other)


def test_student_part_of_a_distilled_checkpoint_is_the_plain_student(teacher, tmp_path):
    model, student = shaken(build(distiller_cfg(teacher))), build(student_cfg(), seed=3)
    path = str(tmp_path / 'distilled.pth')
    save_checkpoint(model, path)
    load_checkpoint(student, path, map_location='cpu', strict=False)
    for name, value in student.state_dict().items():
        assert torch.equal(value, model.student.state_dict()[name]), name


def test_plain_student_checkpoint_starts_a_distiller(teacher, tmp_path, capsys):
    student, model = shaken(build(student_cfg(), seed=3)), build(distiller_cfg(teacher))
    path = str(tmp_path / 'student.pth')
    save_checkpoint(student, path)
    load_checkpoint(model, path, map_location='cpu')
    assert torch.equal(model.student.stem[0].weight, student.stem[0].weight)
    message = capsys.readouterr().out
    assert 'missing keys' in message and 'distill.aligners' in message and 'unexpected' not in message


def test_parameters_of_a_response_loss_are_no_student_keys(teacher, tmp_path):
    cfg = distiller_cfg(teacher, response=dict(type='LearnedWeightResponse'))
    model, other = shaken(build(cfg)), build(cfg, seed=2)
    with torch.no_grad():
        model.response.log_weight.fill_(0.25)
    state = model.state_dict()
    assert [key for key in state if 'log_weight' in key] == ['distill.response.log_weight']
    assert 'distill.response.log_weight' in dict(model.named_parameters())
    other.load_state_dict(state)
    assert other.response.log_weight == 0.25
    assert_equal_models(model, other)
    build(student_cfg()).load_state_dict({k: v for k, v in state.items() if not k.startswith('distill.')})
    path = str(tmp_path / 'distilled.pth')
    save_checkpoint(model, path)
    again = build(cfg, seed=4)
    load_checkpoint(again, path, map_location='cpu', strict=True)
    assert again.response.log_weight == 0.25


def test_strict_loading_still_finds_what_does_not_belong(teacher, tmp_path):
    model = build(distiller_cfg(teacher))
    state = dict(model.state_dict(), **{'img_neck.weight': torch.ones(1), 'distill.aligners.x.weight': torch.ones(1)})
    del state['stem.0.weight']
    with pytest.raises(RuntimeError) as error:
        model.load_state_dict(state)
    for name in ('student.stem.0.weight', 'student.img_neck.weight', 'distill.aligners.x.weight'):
        assert name in str(error.value)
    path = str(tmp_path / 'wrong.pth')
    torch.save(dict(state_dict=state), path)
    with pytest.raises(RuntimeError, match='img_neck'):
        load_checkpoint(model, path, map_location='cpu', strict=True)


def test_optimizer_and_wrapper_do_not_see_the_teacher(teacher, tmp_path):
    model = build(distiller_cfg(teacher)).train()
    own = sum(parameter.numel() for parameter in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    assert sum(p.numel() for group in optimizer.param_groups for p in group['params']) == own
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    store = torch.distributed.FileStore(str(tmp_path / 'store'), 1)
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        wrapped = MMDistributedDataParallel(model)
        assert not any('teacher' in name for name, _ in wrapped.named_parameters())
        expected = model.state_dict().keys()
        save_checkpoint(wrapped, str(tmp_path / 'wrapped.pth'))
        assert torch.load(tmp_path / 'wrapped.pth', weights_only=True)['state_dict'].keys() == expected
        before = copy.deepcopy(model.teacher.module.state_dict())
        outputs = wrapped.train_step(make_batch(), optimizer)
        outputs['loss'].backward()
        optimizer.step()
        assert all(torch.equal(value, before[name]) for name, value in model.teacher.module.state_dict().items())
        assert all(parameter.grad is not None for parameter in model.parameters())
    finally:
        torch.distributed.destroy_process_group()


def test_a_state_that_has_the_prefix_already_is_left_as_it_is(teacher):
    """Some files carry ``student.``: it must be neither added again nor lost."""
    model = build(distiller_cfg(teacher))
    bare = {name: value + 1 if value.is_floating_point() else value for name, value in model.state_dict().items()}
    prefixed = {name if name.startswith('distill.') else f'student.{name}': value for name, value in bare.items()}
    model.load_state_dict(prefixed, strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(value, bare[name]), name
