"""Frozen teacher: strict and safe loading, always eval, float32, no gradients but through the head."""

import copy
import os
import pickle

import numpy as np
import pytest
import torch
from helpers.distill_fakes import make_batch, write_teacher
from mmdet3d.utils import get_root_logger

from mmdet3d_plugin.checkpoints.files import file_sha256, read_checkpoint
from mmdet3d_plugin.checkpoints.teacher_record import record_path, write_record
from mmdet3d_plugin.distill import FrozenTeacher


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return write_teacher(tmp_path_factory.mktemp('teacher'))


def change_checkpoint(files, folder, edit):
    """Copy of the checkpoint with ``edit`` applied to its state dict; returns the teacher entry."""
    content = torch.load(files['checkpoint'], weights_only=True)
    edit(content['state_dict'])
    path = str(folder / 'changed.pth')
    torch.save(content, path)
    return dict(files, checkpoint=path)


def test_weights_are_loaded_and_summarised(files):
    teacher = FrozenTeacher(**files)
    saved = torch.load(files['checkpoint'], weights_only=True)['state_dict']
    for name, value in teacher.module.state_dict().items():
        assert torch.equal(value, saved[name]), name
    info = teacher.info
    assert info.sha256 == file_sha256(files['checkpoint']) and len(info.sha256) == 64
    text = str(info)
    for part in (
        files['config'],
        files['checkpoint'],
        info.sha256[:12],
        f'all {len(saved)} keys',
        'epoch 20',
        '0.5000',
    ):
        assert part in text
    assert '\n' not in text


def test_one_summary_line_is_logged(files, monkeypatch):
    lines = []
    monkeypatch.setattr(get_root_logger(), 'info', lambda message, *args: lines.append(str(message)))
    teacher = FrozenTeacher(**files)
    assert lines == [f'teacher CenterPointBEV: {teacher.info}']


def test_module_prefix_and_numpy_scores_are_fine(files, tmp_path):
    content = torch.load(files['checkpoint'], weights_only=True)
    content['state_dict'] = {f'module.{key}': value for key, value in content['state_dict'].items()}
    content['meta'] = dict(mAP=np.float64(0.25))
    path = str(tmp_path / 'wrapped.pth')
    torch.save(content, path)
    assert FrozenTeacher(**dict(files, checkpoint=path)).info.metrics == {'mAP': 0.25}


def test_missing_module_is_named(files, tmp_path):
    def edit(state):
        for key in [key for key in state if key.startswith('pts_neck.')]:
            del state[key]

    with pytest.raises(ValueError, match=r'pts_neck: \d+ missing \(pts_neck\.') as error:
        FrozenTeacher(**change_checkpoint(files, tmp_path, edit))
    assert '\n' not in str(error.value) and 'teacher.py' in str(error.value)


def test_one_missing_key_is_named(files, tmp_path):
    key = 'pts_bbox_head.shared_conv.conv.weight'
    with pytest.raises(ValueError, match=rf'pts_bbox_head: 1 missing \({key}\)$'):
        FrozenTeacher(**change_checkpoint(files, tmp_path, lambda state: state.pop(key)))


def test_unexpected_key_is_named(files, tmp_path):
    with pytest.raises(ValueError, match=r'extra: 1 unexpected \(extra\.weight\)'):
        FrozenTeacher(**change_checkpoint(files, tmp_path, lambda state: state.update({'extra.weight': torch.ones(1)})))


def test_wrong_shape_names_both_sides(files, tmp_path):
    key = 'pts_backbone.blocks.0.0.weight'
    with pytest.raises(ValueError, match=rf'{key}: \(2, 2\) in the file, \(8, 8, 3, 3\) in the model'):
        FrozenTeacher(**change_checkpoint(files, tmp_path, lambda state: state.update({key: torch.ones(2, 2)})))


def test_checkpoint_that_runs_code_is_refused(tmp_path, files):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'ran'),)

    path = tmp_path / 'harmful.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(1)), meta=Harmful()), path)
    with pytest.raises(ValueError, match='cannot be read as plain weights'):
        FrozenTeacher(**dict(files, checkpoint=str(path)))
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('content', [dict(state_dict={}), dict(meta=dict(epoch=1)), torch.ones(3)])
def test_file_without_weights_is_refused(tmp_path, content):
    path = str(tmp_path / 'empty.pth')
    torch.save(content, path)
    with pytest.raises(ValueError, match='holds no state_dict'):
        read_checkpoint(path)


def test_damaged_file_is_refused(tmp_path):
    path = tmp_path / 'damaged.pth'
    path.write_bytes(pickle.dumps('text')[:5])
    with pytest.raises(ValueError, match='cannot be read as plain weights'):
        read_checkpoint(str(path))


def test_missing_files_are_named(files):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        FrozenTeacher(**dict(files, checkpoint='nowhere.pth'))
    with pytest.raises(FileNotFoundError, match='nowhere.py'):
        FrozenTeacher(config='nowhere.py', checkpoint=files['checkpoint'])


def test_random_weights_need_permission_and_warn(files):
    with pytest.raises(ValueError, match='allow_random_weights=True'):
        FrozenTeacher(config=files['config'])
    with pytest.warns(UserWarning, match='RANDOM weights'):
        teacher = FrozenTeacher(config=files['config'], allow_random_weights=True)
    assert 'RANDOM' in str(teacher.info)


def test_unknown_option_is_an_error(files):
    with pytest.raises(TypeError, match='frozen_stages'):
        FrozenTeacher(**files, frozen_stages=1)


def test_extraction_is_without_gradient_and_stays_in_eval_mode(files):
    teacher = FrozenTeacher(**files)
    before = copy.deepcopy(teacher.module.state_dict())
    teacher.module.train()
    bev = teacher.extract_bev(make_batch())
    assert not bev.head_map.requires_grad and not any(level.requires_grad for level in bev.levels.values())
    assert not any(module.training for module in teacher.module.modules())
    assert all(torch.equal(value, before[name]) for name, value in teacher.module.state_dict().items())
    for name, level in teacher.bev_levels().items():
        assert bev.level(name).shape[1:] == level.shape


@pytest.mark.parametrize('respond', ['respond', 'respond_lazily'])
def test_response_is_differentiable_in_the_map_only(files, respond):
    teacher = FrozenTeacher(**files)
    teacher.module.train()  # somebody's mistake: it answers in eval mode all the same
    level = teacher.bev_levels()['head']
    neck = torch.randn(1, *level.shape, requires_grad=True)
    preds = getattr(teacher, respond)(neck, [])
    assert len(preds) == 6
    sum(value.sum() for (maps,) in preds for value in maps.values()).backward()
    assert neck.grad.abs().sum() > 0
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in teacher.module.parameters())


def test_float32_under_autocast(files):
    teacher = FrozenTeacher(**files)
    plain = teacher.extract_bev(make_batch())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        bev = teacher.extract_bev(make_batch())
        preds = teacher.respond(bev.head_map.bfloat16(), []), teacher.respond_lazily(bev.head_map.bfloat16(), [])
    assert bev.head_map.dtype == torch.float32 and torch.equal(bev.head_map, plain.head_map)
    for (maps,), *_ in preds:
        assert maps['heatmap'].dtype == maps['reg'].dtype == torch.float32


def test_verdicts_and_measured_scores_are_in_the_summary_and_the_meta(files):
    info = FrozenTeacher(**files).info
    assert info.verdicts['weights'] == 'ok' and info.verdicts['range'] == 'unknown'
    assert 'weights ok, classes unknown' in str(info)
    record = record_path(files['checkpoint'])
    write_record(files['checkpoint'], info.sha256, dict(mAP=0.25, NDS=0.375), samples=8)
    try:
        measured = FrozenTeacher(**files).info
    finally:
        os.remove(record)
    assert measured.metrics == dict(mAP=0.25, NDS=0.375) and 'mAP 0.2500, NDS 0.3750' in str(measured)
    meta = measured.as_meta()
    assert meta['sha256'] == info.sha256 and meta['metrics']['mAP'] == 0.25 and meta['config'] == files['config']


def untrain(state):
    """Every norm layer back to its initial scale."""
    for key in state:
        if key.replace('.weight', '.running_var') in state and key.endswith('.weight'):
            state[key] = torch.ones_like(state[key])
        if key.replace('.bias', '.running_var') in state and key.endswith('.bias'):
            state[key] = torch.zeros_like(state[key])


def test_untrained_weights_need_permission(files, tmp_path):
    changed = change_checkpoint(files, tmp_path, untrain)
    with pytest.raises(ValueError, match=r'weights: random: all \d+ norm layers .*allow_random_weights=True'):
        FrozenTeacher(**changed)
    assert FrozenTeacher(**changed, allow_random_weights=True).info.verdicts['weights'] == 'wrong'


@pytest.mark.parametrize(
    'meta, words',
    [
        (dict(mmdet3d_version='0.17.2'), 'boxes by version: mmdet3d 0.17.2 wrote w, l, h'),
        (dict(detector=dict(point_cloud_range=[-51.2, -51.2, -5.0, 51.2, 51.2, 3.0])), 'range: trained with point_cl'),
        (dict(CLASSES=['truck', 'car']), r"classes: trained with classes \['truck', 'car'\]"),
    ],
)
def test_a_teacher_of_another_meaning_is_refused(files, tmp_path, meta, words):
    content = torch.load(files['checkpoint'], weights_only=True)
    path = str(tmp_path / 'other.pth')
    torch.save(dict(content, meta=meta), path)
    with pytest.raises(ValueError, match=words):
        FrozenTeacher(**dict(files, checkpoint=path))
