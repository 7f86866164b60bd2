"""What the doctor finds, look by look, in folders made for it."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.harmful import RunsCode

from mmdet3d_plugin.checkpoints.files import write_checkpoint
from mmdet3d_plugin.datasets.gt_database import files as database
from mmdet3d_plugin.datasets.infos import info_file, info_io, old_schema


@pytest.fixture(autouse=True)
def tools(repo_root, monkeypatch):
    """Make the doctor's parts importable."""
    monkeypatch.syspath_prepend(str(repo_root / 'tools'))


def by_name(lines):
    return {line.subject: line for line in lines}


@pytest.fixture
def data(tmp_path):
    """data/set of a repository: tables of two scenes, and no other file yet."""
    folder = tmp_path / 'data' / 'set'
    (folder / 'v1.0-mini').mkdir(parents=True)
    (folder / 'v1.0-mini' / 'sample.json').write_text('[]')
    (folder / 'v1.0-mini' / 'scene.json').write_text('[{}, {}]')
    return folder


def look_at_data(data):
    from doctor import datasets

    return by_name(datasets.look(data.parents[1]))


def test_schemas_are_those_of_the_package():
    from doctor import datasets

    assert datasets._SCHEMA == info_io.SCHEMA and datasets._OLD_SCHEMA == old_schema.OLD_SCHEMA
    assert datasets._DATABASE_SCHEMA == database.SCHEMA
    assert datasets._GENERATOR == __import__('mmdet3d_plugin.synthetic.generate', fromlist=['MANIFEST']).MANIFEST


def test_a_data_set_and_what_lies_beside_its_tables(data):
    assert look_at_data(data)['data/set'].text == 'real, v1.0-mini (2 scenes)'
    (data / 'synthetic.json').write_text('{}')
    for name in ('can_bus/scene-0001_pose.json', 'can_bus/scene-0001_meta.json', 'sweeps/LIDAR_TOP_VIRTUAL/a.pkl.npy'):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    found = look_at_data(data)['data/set']
    assert found.text == 'generated, v1.0-mini (2 scenes); CAN bus: 1 files, virtual points: 1 files'
    assert found.facts == dict(
        kind='data set', origin='generated', versions={'v1.0-mini': 2}, can_bus=1, virtual_points=1
    )
    (data / 'v1.0-mini' / 'scene.json').write_text('{')  # damaged tables end nothing
    assert look_at_data(data)['data/set'].facts['versions'] == {'v1.0-mini': 0}


def test_info_files_of_every_kind_without_unpickling_them(data, tmp_path):
    infos = [dict(token='a', version='v1.0-mini', cams=dict(CAM=dict(x=np.ones(3))))] * 2
    stamp = dict(version='v1.0-mini', split='train')
    info_io.save_infos(data / 'nuscenes_infos_train.pkl', infos, **stamp, origin=dict(scenes=['a']))
    info_io.save_infos(data / 'nuscenes_infos_train_4d_interval3_max60.pkl', infos, **stamp, kind='4d', interval=3)
    old = dict(infos=infos, metadata=dict(stamp, schema=old_schema.OLD_SCHEMA, kind='base', velocity='absolute'))
    others = dict(
        old=old, mmdet3d=dict(infos=infos, metadata=dict(version='v1.0-mini')), code=RunsCode(tmp_path / 'ran')
    )
    for name, content in others.items():
        (data / f'{name}_infos_val.pkl').write_bytes(pickle.dumps(content, protocol=4))
    whole = (data / 'nuscenes_infos_train.pkl').read_bytes()
    (data / 'cut_infos_val.pkl').write_bytes(whole[:-20])

    found = look_at_data(data)
    train, later = (
        found['data/set/nuscenes_infos_train.pkl'],
        found['data/set/nuscenes_infos_train_4d_interval3_max60.pkl'],
    )
    assert train.verdict == later.verdict == 'ok'
    assert train.facts['schema'] == info_io.SCHEMA and train.facts['split'] == 'train'
    assert (train.facts['content'], later.facts['content']) == ('base', '4d')
    create = 'python tools/create_data.py nuscenes --root-path data/set --extra-tag {} --version v1.0-mini'
    old, foreign = found['data/set/old_infos_val.pkl'], found['data/set/mmdet3d_infos_val.pkl']
    assert old.verdict == 'note' and 'still read' in old.text and old.text.endswith(create.format('old'))
    assert foreign.verdict == 'wrong' and "another tool's" in foreign.text
    assert foreign.text.endswith(create.format('mmdet3d'))
    assert found['data/set/cut_infos_val.pkl'].text.startswith('the file is cut')
    assert found['data/set/code_infos_val.pkl'].verdict == 'wrong' and not (tmp_path / 'ran').exists()


def test_the_stamp_of_a_large_file_is_read_from_its_end(tmp_path):
    from doctor import stamps

    path = tmp_path / 'x_infos_train.pkl'
    numbers = np.random.default_rng(0).random((100, 900))  # which do not get smaller by compression
    info_io.save_infos(path, [dict(token=str(n), numbers=row) for n, row in enumerate(numbers)], 'v1.0-mini', 'train')
    assert path.stat().st_size > 2 * stamps._TAIL
    assert (stamps.INDEX_END.format, stamps.INDEX_MARK) == (info_file._TAIL.format, info_file._MARK)
    stamp = stamps.read_stamp(path)
    assert stamp == dict(
        version='v1.0-mini', split='train', schema=info_io.SCHEMA, box_convention=info_io.BOX_CONVENTION, kind='base',
        interval=None, max_prev=None,
    )  # fmt: skip


@pytest.mark.parametrize('damage', [None, 'cut', 'missing'])
def test_a_database_and_its_points(data, damage):
    names = database.database_filenames('nuscenes', 'train', True)
    (data / names[1]).write_bytes(b'12345678')
    database.save_database_infos(data / names[0], {}, names[1], 'v1.0-mini', 'train', 10, True)
    if damage == 'cut':
        (data / names[1]).write_bytes(b'1234')
    elif damage:
        (data / names[1]).unlink()
    found = look_at_data(data)[f'data/set/{names[0]}']
    if damage:
        assert found.verdict == 'wrong' and found.text.endswith('--virtual') and names[1] in found.text
    else:
        assert (found.verdict, found.facts['sweeps']) == ('ok', 10)
        assert found.text == 'objects with virtual points, 10 sweeps, 0.0 MB of points'


CONFIG = "model = dict(type='DualDistill', student=dict(type='BEVDepth4D'), teacher=dict(config='t.py'))"
META = dict(config=CONFIG, exp_name='dualdistill_toy.py', epoch=4, dualdistill_version='0.1.0')


def look_at_checkpoints(root, repo_root):
    from doctor import checkpoint_files

    (root / 'configs').symlink_to(repo_root / 'configs')
    return by_name(checkpoint_files.look(root))


def test_checkpoints_and_whether_they_can_be_tested(tmp_path, repo_root):
    run, weights = tmp_path / 'outputs' / 'run', tmp_path / 'checkpoints'
    state = dict(a=torch.ones(2))
    write_checkpoint(run / 'best_NDS_epoch_1.pth', {**state, 'distill.aligners.w': torch.ones(1)}, META)
    for epoch in (3, 4):
        write_checkpoint(run / f'epoch_{epoch}.pth', {**state, 'distill.aligners.w': torch.ones(1)}, META)
    (run / 'latest.pth').symlink_to('epoch_4.pth')
    write_checkpoint(weights / 'resnet50.pth', state, {})
    write_checkpoint(weights / 'old.pth', state, dict(META, mmdet3d_version='0.17.1'))
    write_checkpoint(weights / 'released.pth', {**state, 'teacher_model.b': torch.ones(1)}, META)
    torch.save(dict(state_dict=state, meta=dict(x=RunsCode(tmp_path / 'ran'))), weights / 'code.pth')
    (weights / 'damaged.pth').write_bytes(b'PK\x03\x04 no checkpoint')

    found = look_at_checkpoints(tmp_path, repo_root)
    newest = found['outputs/run/epoch_4.pth']
    assert newest.verdict == 'ok' and newest.facts['servable'] is True and newest.facts['weights'] == 1
    assert newest.text == (
        'BEVDepth4D, distilled, epoch 4, weights alone: test it with configs/quickstart/dualdistill_toy.py'
    )
    assert 'outputs/run/best_NDS_epoch_1.pth' in found and found['others'].facts == dict(more=1)
    assert not {'outputs/run/epoch_3.pth', 'outputs/run/latest.pth'} & set(found)
    backbone = found['checkpoints/resnet50.pth']
    assert (backbone.verdict, backbone.facts['servable']) == ('note', None)
    assert 'convert_legacy.py' in found['checkpoints/old.pth'].text
    released = found['checkpoints/released.pth']
    assert released.facts['holds_teacher'] and released.verdict == 'wrong' and 'convert_legacy.py' in released.text
    assert '--trust-checkpoint' in found['checkpoints/code.pth'].text and not (tmp_path / 'ran').exists()
    assert found['checkpoints/damaged.pth'].verdict == 'wrong'
    assert str(tmp_path) not in ' '.join(line.text for line in found.values())


def test_no_folders_no_lines(tmp_path, repo_root):
    assert look_at_checkpoints(tmp_path, repo_root) == {}


@pytest.mark.parametrize(
    'capability, compiled, fits',
    [
        ((9, 0), ['sm_80', 'sm_90'], True),
        ((8, 6), ['sm_80', 'sm_90'], True),  # machine code of the same major version
        ((8, 0), ['sm_86', 'sm_90'], False),  # of a later minor version
        ((12, 0), ['sm_80', 'sm_90'], False),
        ((12, 0), ['sm_90', 'compute_90'], True),  # PTX
        ((7, 0), ['sm_75', 'compute_90'], False),
        ((12, 0), ['sm_120'], True),
        ((9, 0), ['sm_90a'], True),
        ((10, 3), ['sm_100a'], False),  # for exactly one version
        ((9, 0), ['gfx90a'], False),
    ],
)
def test_whether_torch_has_code_for_a_gpu(capability, compiled, fits):
    from doctor.gpu import has_code_for

    assert has_code_for(capability, compiled) is fits


def test_a_gpu_that_torch_has_no_code_for(monkeypatch, tmp_path):
    from doctor import gpu

    properties = SimpleNamespace(name='NVIDIA X', total_memory=24 << 30, major=12, minor=0)
    for name, value in dict(
        is_available=True, device_count=1, get_arch_list=['sm_80'], get_device_properties=0
    ).items():
        result = properties if name == 'get_device_properties' else value
        monkeypatch.setattr(torch.cuda, name, lambda *_, result=result: result)
    monkeypatch.setattr(torch.version, 'cuda', '12.6')
    (found,) = gpu.look(tmp_path)
    assert found.verdict == 'wrong' and found.text.startswith(
        'NVIDIA X, 24 GiB, sm_120: torch has code for sm_80 alone'
    )


def test_the_driver(monkeypatch, tmp_path):
    from doctor import gpu

    program = tmp_path / 'nvidia-smi'
    monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')
    answers = {
        'echo "NVIDIA H200, 143771 MiB, 570.1"': ('ok', 'NVIDIA H200, 143771 MiB, 570.1'),
        'echo "No devices were found"; exit 6': ('wrong', 'nvidia-smi sees no GPU: No devices were found'),
    }
    for script, expected in answers.items():
        program.write_text(f'#!/bin/sh\n{script}\n')
        program.chmod(0o755)
        (found,) = gpu.look_by_driver(tmp_path)
        assert (found.verdict, found.text) == expected
    program.unlink()
    assert gpu.look_by_driver(tmp_path)[0].verdict == 'note'


def test_pins_are_chosen_by_the_version_of_python(tmp_path):
    from doctor.environment import read_pins

    (tmp_path / 'a.txt').write_text(
        '# c\nnumpy==1.26.4\nx==2.0; python_version >= "3.11"\nx==1.0; python_version < "3.11"\n'
    )
    (tmp_path / 'torch_cuda12.txt').write_text('numpy==0.1\n')
    assert read_pins(tmp_path, (3, 11)) == dict(numpy='1.26.4', x='2.0')
    assert read_pins(tmp_path, (3, 9)) == dict(numpy='1.26.4', x='1.0')


def test_versions_that_were_not_tested_are_said(monkeypatch, repo_root):
    from doctor import environment

    there = dict.fromkeys(environment.PACKAGES, '1.26.4')
    there.update({'torch': '2.6.1+cu124', 'numpy': '2.1.0', 'mmdet': None})
    monkeypatch.setattr(environment, '_installed', there.get)
    monkeypatch.setattr(environment.sys, 'version_info', (3, 11, 7))
    found = by_name(environment.look(repo_root))
    assert found['tested pair'].verdict == 'note' and 'Python 3.11 and torch 2.6.1' in found['tested pair'].text
    assert found['numpy'].verdict == 'note' and found['numpy'].text.startswith('2.1.0, tested with 1.26.4')
    assert found['mmdet'].verdict == 'wrong' and found['torch'].verdict == 'ok'
    there['torch'] = '2.13.0+cpu'
    assert by_name(environment.look(repo_root))['tested pair'].facts['tested'] is True
    monkeypatch.setattr(environment.sys, 'version_info', (3, 8, 1))
    assert by_name(environment.look(repo_root))['Python'].verdict == 'fatal'


def steps(sections):
    from doctor.next_steps import next_steps

    return [step['command'] for step in next_steps(sections)]


def test_next_steps_follow_from_what_is_missing(data):
    from doctor.line import Line

    assert steps({'environment': [Line('Python', 'fatal', 'old')]}) == ['bash scripts/setup.sh']
    assert steps({'data sets': [Line('data sets', 'note', 'none')]})[0] == 'bash scripts/quickstart.sh'
    real = data.rename(data.with_name('nuscenes'))
    create, prepare, train = steps({'data sets': list(look_at_data(real).values())})
    assert create == 'python tools/create_data.py nuscenes --root-path data/nuscenes --version v1.0-mini'
    assert prepare.startswith('python tools/data_converter/prepare_nuscenes_for_bevdet4d.py --root-path data/nuscenes')
    assert train.startswith('python tools/train.py configs/centerpoint/')

    (real / 'v1.0-trainval').mkdir()
    (real / 'v1.0-trainval' / 'sample.json').write_text('[]')
    assert steps({'data sets': list(look_at_data(real).values())})[0].endswith('--version v1.0-trainval')
    for kind in ('base', '4d'):
        name = info_io.info_filename('nuscenes', 'train', kind)
        info_io.save_infos(real / name, [dict(token='a')], 'v1.0-mini', 'train', kind)
    found = list(look_at_data(real).values())
    teacher = Line(
        'outputs/t/epoch_20.pth',
        'ok',
        '',
        dict(servable=True, distilled=False, detector='CenterPointBEV', config='t.py'),
    )
    verify, distill = steps({'data sets': found, 'checkpoints': [teacher]})
    assert 'verify_teacher.py' in verify and distill.startswith('python tools/train.py configs/lidar2camera')
    student = Line('outputs/s/epoch_24.pth', 'ok', '', dict(servable=True, distilled=True, detector='B', config='c.py'))
    toy = Line('outputs/q/epoch_4.pth', 'ok', '', dict(student.facts, config='configs/quickstart/dualdistill_toy.py'))
    sections = {'data sets': found, 'checkpoints': [toy, student, teacher]}
    assert steps(sections) == ['python tools/test.py c.py outputs/s/epoch_24.pth --eval bbox']


def test_files_that_cannot_be_read_are_made_anew_first(data):
    info_io.save_infos(data / 'nuscenes_infos_train.pkl', [dict(token='a')], 'v1.0-mini', 'train')
    (data / 'nuscenes_infos_val.pkl').write_bytes(b'cut')
    assert steps({'data sets': list(look_at_data(data).values())})[0] == (
        'python tools/create_data.py nuscenes --root-path data/set --extra-tag nuscenes --version v1.0-mini'
    )


def test_nobodys_paths_are_left(tmp_path, monkeypatch):
    import sysconfig
    from pathlib import Path

    from doctor.private import scrubber

    home = tmp_path / 'home' / 'alice'
    monkeypatch.setattr(Path, 'home', lambda: home)
    monkeypatch.setattr('getpass.getuser', lambda: 'alice')
    root = home / 'code' / 'dualdistill'
    packages = sysconfig.get_path('purelib')
    value = dict(a=[f'{root}/data', f'{home}/x', f'{packages}/mmcv', '/mnt/alice/nuscenes', 'alice alone'], b=1)
    assert scrubber(root)(value) == dict(
        a=['./data', '~/x', 'site-packages/mmcv', '/mnt/<user>/nuscenes', 'alice alone'], b=1
    )
    assert json.dumps(scrubber(root)(dict(n=None))) == '{"n": null}'
