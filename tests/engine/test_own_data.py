"""Data of one's own, as docs/own_data.md has it: each of its commands is run, with five cameras; and seven cameras."""

import json
import re
import runpy
import shlex
import sys

import cv2
import pytest
import torch
from helpers.own_data import FIVE, SEVEN, VERSION, write_own_data

from mmdet3d_plugin.datasets.infos.info_io import load_infos


@pytest.fixture(scope='module')
def page(pytestconfig):
    """Text of the page."""
    return (pytestconfig.rootpath / 'docs' / 'own_data.md').read_text()


@pytest.fixture
def commands(page):
    """Commands of the page by the name of their tool, each a list of words."""
    blocks = '\n'.join(re.findall(r'```bash\n(.*?)```', page, re.S)).replace('\\\n', ' ')
    lines = [shlex.split(line) for line in blocks.splitlines() if line]
    assert all(words[0] == 'python' for words in lines)
    return {words[1].rsplit('/', 1)[-1]: words[1:] for words in lines}


@pytest.fixture
def run(repo_root, tmp_path, monkeypatch, capsys):
    """Function: words of a command -> (what it printed, its error or None), run where ``data/my_set`` lies."""
    monkeypatch.setattr('time.sleep', lambda seconds: None)  # mmcv waits 2 s at each epoch's start
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs').symlink_to(repo_root / 'configs')
    write_own_data(tmp_path / 'data' / 'my_set')

    def call(words):
        monkeypatch.setattr(sys, 'argv', words)
        error = None
        try:
            runpy.run_path(str(repo_root / words[0]), run_name='__main__')
        except SystemExit as stop:
            error = stop.code
        return capsys.readouterr().out, error

    return call


def test_the_page_s_way_from_tables_to_scores(page, commands, run, tmp_path):
    printed, error = run(commands.pop('create_data.py'))
    assert error is None and f'splits: data/my_set/{VERSION}/splits.json' in printed
    rows = [line.split() for line in printed.splitlines()]
    assert ['Car', 'car', '36'] in rows and ['lorry', 'truck', '18'] in rows and ['scooter', 'unknown', '9'] in rows
    assert 'warning: boxes of unknown categories are left out everywhere: scooter (9).' in printed
    assert run(commands.pop('prepare_nuscenes_for_bevdet4d.py'))[1] is None
    metadata = load_infos('data/my_set/nuscenes_infos_train_4d_interval3_max60.pkl')['metadata']
    assert metadata['cameras'] == list(FIVE) and metadata['version'] == VERSION
    assert metadata['origin'] == dict(
        scenes=['drive-0001', 'drive-0002'],
        split_source=f'data/my_set/{VERSION}/splits.json',
        class_map={'lorry': 'truck'},
    )

    (config,) = re.findall(r'```python\n(.*?)```', page, re.S)
    (tmp_path / 'my_config.py').write_text(config)
    for name in ('check_config.py', 'train.py', 'test.py', 'draw_predictions.py'):
        assert run(commands.pop(name))[1] is None, name
    (scores,) = (tmp_path / 'outputs' / 'my_config').glob('eval_*.json')
    scores = json.loads(scores.read_text())['metric']
    assert {key[:-3] for key in scores if key.endswith('_AP')} == {'car', 'truck', 'pedestrian'}
    (picture,) = (tmp_path / 'outputs' / 'my_config' / 'pictures').glob('*.png')
    assert cv2.imread(str(picture)).shape[1] > 3 * 400  # a row of three cameras and one of two

    printed, error = run(commands.pop('create_virtual_points.py'))
    assert error is None and '15 sweeps written' in printed
    assert commands == {}  # every command of the page was run


def test_boxes_whose_points_nobody_counted_are_said(run, tmp_path):
    table = tmp_path / 'data' / 'my_set' / VERSION / 'sample_annotation.json'
    table.write_text(re.sub(r'"num_lidar_pts": \d+', '"num_lidar_pts": 0', table.read_text()))
    printed, error = run(['tools/create_data.py', 'nuscenes', '--root-path', 'data/my_set', '--cameras', 'CAM_LEFT'])
    assert error is None
    for split in ('train', 'val'):
        assert f'warning: {split}: no box holds a LiDAR or radar point' in printed


def test_scenes_in_no_split_end_with_the_way_out(run, tmp_path):
    words = ['tools/create_data.py', 'nuscenes', '--root-path', 'data/my_set', '--cameras', *FIVE]
    (tmp_path / 'data' / 'my_set' / VERSION).rename(tmp_path / 'data' / 'my_set' / 'v1.0-trainval')
    (tmp_path / 'data' / 'my_set' / 'v1.0-trainval' / 'splits.json').unlink()
    printed, error = run(words)
    assert 'splits: official' in printed and '3 scene(s) are in no split' in printed
    assert error.startswith('error: ') and '--split-file' in error
    _, error = run(words[:4])
    assert error.startswith('error: ') and 'no camera CAM_BACK. ' in error and '\n' not in error


def test_seven_cameras_train_and_are_tested_with_a_config_for_any(run, tmp_path):
    data = ['--root-path', 'data/my_set']
    cameras = ['--cameras', *SEVEN]
    assert run(['tools/create_data.py', 'nuscenes', *data, *cameras, '--class-map', 'lorry=truck'])[1] is None
    assert run(['tools/data_converter/prepare_nuscenes_for_bevdet4d.py', *data])[1] is None
    options = ['--cfg-options', 'runner.max_epochs=1', 'data.workers_per_gpu=0', 'log_config.interval=1']
    for split, file in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        options += [
            f'data.{split}.data_root=data/my_set',
            f'data.{split}.ann_file=data/my_set/nuscenes_infos_{file}_4d_interval3_max60.pkl',
        ]
    config = 'configs/quickstart/bevdepth4d_toy.py'
    assert run(['tools/train.py', config, '--work-dir', 'out', *options, 'evaluation.interval=1'])[1] is None
    (log,) = (tmp_path / 'out').glob('*.log.json')
    log = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [line['loss_depth'] for line in log if line.get('mode') == 'train']
    assert len(losses) == 2 and all(0 < loss < 100 for loss in losses)  # two iterations
    (scores,) = [line for line in log if line.get('mode') == 'val']
    assert 'car_AP' in scores and 'bus_AP' in scores

    checkpoint = str(tmp_path / 'out' / 'epoch_1.pth')
    assert not any('cam' in key for key in torch.load(checkpoint, weights_only=True)['state_dict'])
    _, error = run([
        'tools/test.py', config, checkpoint, '--eval', 'bbox', *options,
        'data.test.pipeline.0.cameras=[CAM_FRONT,CAM_BACK]',
    ])  # fmt: skip
    assert error.startswith('error: ') and '\n' not in error
    assert re.search('infos_val.*wants CAM_BACK, but the infos have the cameras CAM_FRONT,', error)
