"""The image branch alone learns what it would learn about depth in a student, and a student starts from it."""

import pytest
import torch
from helpers.batch import make_batch
from helpers.toy_models import toy_bevdepth_cfg
from mmcv import ConfigDict
from mmcv.runner import load_checkpoint, save_checkpoint
from mmdet3d.models import build_model

IMAGE_SIZE = (32, 64)
PARTS = ('img_backbone', 'img_neck', 'img_view_transformer')


def branch_cfg():
    cfg = toy_bevdepth_cfg(image_size=IMAGE_SIZE)
    return ConfigDict(dict(type='CameraDepth', **{key: cfg[key] for key in PARTS}))


def pair():
    """(student, its image branch with the same weights)."""
    torch.manual_seed(0)
    student = build_model(ConfigDict(toy_bevdepth_cfg(image_size=IMAGE_SIZE)))
    branch = build_model(branch_cfg())
    branch.load_state_dict({key: value for key, value in student.state_dict().items() if key.split('.')[0] in PARTS})
    return student, branch


@pytest.fixture(scope='module')
def batch():
    return make_batch(image_size=IMAGE_SIZE, num_cams=2)


def test_loss_and_gradients_are_those_of_the_students_depth(batch):
    student, branch = pair()
    expected = student(return_loss=True, **batch)['loss_depth']
    losses = branch(return_loss=True, **batch)
    assert list(losses) == ['loss_depth'] and losses['loss_depth'] > 0
    torch.testing.assert_close(losses['loss_depth'], expected)
    expected.backward()
    losses['loss_depth'].backward()
    theirs = dict(student.named_parameters())
    trained = [name for name, parameter in branch.named_parameters() if parameter.requires_grad]
    assert trained == [name for name, _ in branch.named_parameters() if '.featnet.' not in name]
    for name, parameter in branch.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, msg=name)
        assert '.featnet.' in name or parameter.grad.abs().sum() > 0, name


def test_a_student_starts_from_its_checkpoint_and_keeps_its_own_rest(batch, tmp_path):
    student, branch = pair()
    optimizer = torch.optim.AdamW(branch.parameters(), lr=1e-2)
    first = branch(return_loss=True, **batch)['loss_depth']
    for _ in range(5):
        optimizer.zero_grad()
        branch(return_loss=True, **batch)['loss_depth'].backward()
        optimizer.step()
    assert branch(return_loss=True, **batch)['loss_depth'] < first
    save_checkpoint(branch, str(tmp_path / 'depth.pth'))
    before = {key: value.clone() for key, value in student.state_dict().items()}
    load_checkpoint(student, str(tmp_path / 'depth.pth'))
    learned = branch.state_dict()
    assert any(not torch.equal(value, before[key]) for key, value in learned.items())
    for key, value in student.state_dict().items():
        assert torch.equal(value, learned.get(key, before[key])), key


def test_there_is_nothing_to_evaluate(batch):
    _, branch = pair()
    with pytest.raises(NotImplementedError, match='detects nothing'):
        branch(return_loss=False, **batch)
    with pytest.raises(ValueError, match='leave out train_cfg'):
        build_model(branch_cfg(), train_cfg=dict(pts=None))
