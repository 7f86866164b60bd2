"""export_student.py and publish_model.py from a training run's checkpoint to predictions."""

import os
import re

import numpy as np
import pytest
import torch
from helpers.batch import make_batch
from helpers.distill_fakes import build, level_cfgs, write_teacher
from helpers.harmful import RunsCode
from helpers.tools import load_tool
from helpers.toy_models import TASKS, toy_bevdepth_cfg
from mmcv import Config
from mmcv.runner import save_checkpoint

from mmdet3d_plugin import load_student
from mmdet3d_plugin.checkpoints.files import file_sha256, read_checkpoint
from mmdet3d_plugin.distill import student_model_cfg

META = dict(
    epoch=24,
    CLASSES=tuple(name for task in TASKS for name in task['class_names']),
    teacher='teacher.pth',
    env_info='host, driver, folders',
    fp16=dict(loss_scaler=dict(scale=1.0)),
    hook_msgs=dict(best_score=np.float64(0.25), last_ckpt='/some/folder/epoch_24.pth'),
)


@pytest.fixture(scope='module')
def distilled(tmp_path_factory):
    """A distiller off its initial values, its config, and the checkpoint a run leaves, optimizer included."""
    folder = tmp_path_factory.mktemp('distilled')
    cfg = dict(
        type='DualDistill',
        student=toy_bevdepth_cfg(),
        teacher=write_teacher(folder),
        levels=level_cfgs(),
        response=dict(type='CrossHeadBoxLoss'),
    )
    model = build(cfg).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train_step(make_batch(), optimizer)['loss'].backward()
    optimizer.step()
    path = str(folder / 'epoch_24.pth')
    save_checkpoint(model, path, optimizer=optimizer, meta=dict(META))
    return model.eval(), cfg, path


def written(capsys):
    """The file and the hash that a tool printed."""
    path, line = capsys.readouterr().out.splitlines()[-2:]
    return path, line.removeprefix('sha256 ')


def assert_published(path, digest, name):
    """Named after its content, and without what concerns nobody else."""
    assert digest == file_sha256(path)
    assert re.fullmatch(rf'{name}-{digest[:8]}\.pth', os.path.basename(path))
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    content = torch.load(path, weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    meta = content['meta']
    assert meta['epoch'] == 24 and meta['teacher'] == 'teacher.pth' and meta['hook_msgs'] == dict(best_score=0.25)
    assert not {'env_info', 'fp16'} & set(meta) and meta['source']['file'] == 'epoch_24.pth'
    return content['state_dict']


def test_exported_student_predicts_bit_for_bit_what_the_distiller_does(distilled, tmp_path, capsys):
    model, cfg, source = distilled
    load_tool('model_converters/export_student.py').main([source, str(tmp_path / 'out' / 'student.pth')])
    path, digest = written(capsys)
    state = assert_published(path, digest, 'student')
    assert state.keys() == model.student.state_dict().keys()
    assert os.path.getsize(path) < 0.5 * os.path.getsize(source)

    plain = tmp_path / 'plain.py'
    Config(dict(model=student_model_cfg(cfg))).dump(str(plain))
    student = load_student(str(plain), path)
    assert type(student).__name__ == 'BEVDepth4D' and META['CLASSES'] == student.CLASSES
    batch = make_batch(num_boxes=2, seed=5)
    with torch.no_grad():
        ours, theirs = model(return_loss=False, **batch), student(return_loss=False, **batch)
    assert sum(len(sample['pts_bbox']['scores_3d']) for sample in ours) > 10
    for first, second in zip(ours, theirs):
        for name in ('scores_3d', 'labels_3d'):
            assert torch.equal(first['pts_bbox'][name], second['pts_bbox'][name])
        assert torch.equal(first['pts_bbox']['boxes_3d'].tensor, second['pts_bbox']['boxes_3d'].tensor)


def test_a_plain_checkpoint_has_no_student_to_export(distilled, tmp_path):
    model, _, _ = distilled
    save_checkpoint(model.student, str(tmp_path / 'plain.pth'))
    with pytest.raises(ValueError, match='not a distilled checkpoint.*publish_model.py'):
        load_tool('model_converters/export_student.py').main([str(tmp_path / 'plain.pth'), str(tmp_path / 'out.pth')])
    assert os.listdir(tmp_path) == ['plain.pth']


def test_published_model_keeps_every_weight(distilled, tmp_path, capsys):
    model, _, source = distilled
    load_tool('model_converters/publish_model.py').main([source, str(tmp_path / 'out' / 'model.pth')])
    path, digest = written(capsys)
    state = assert_published(path, digest, 'model')
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in state.items())
    read_checkpoint(path)


@pytest.mark.parametrize('name', ['publish_model', 'export_student'])
def test_pickled_code_needs_trust(tmp_path, capsys, name):
    content = dict(
        state_dict={'a': torch.ones(1), 'distill.b': torch.ones(1)}, meta=dict(extra=RunsCode(tmp_path / 'x'))
    )
    path = str(tmp_path / 'harmful.pth')
    torch.save(content, path)
    words = [path, str(tmp_path / 'out' / 'new.pth')]
    with pytest.raises(ValueError, match='names posix.mkdir.*--trust-checkpoint'):
        load_tool(f'model_converters/{name}.py').main(words)
    assert not (tmp_path / 'x').exists()
    load_tool(f'model_converters/{name}.py').main([*words, '--trust-checkpoint'])
    assert (tmp_path / 'x').exists() and 'a' in read_checkpoint(written(capsys)[0])[0]
