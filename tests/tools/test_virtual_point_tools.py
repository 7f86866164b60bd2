"""The tools around virtual points as users run them: from a detector's masks to files, killed and resumed."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.signals import kill_group
from helpers.tools import TOOLS, load_tool
from mmcv import Config
from mmdet.models import build_detector

from mmdet3d_plugin.datasets.virtual_point_files import read_virtual_file

sys.path.insert(0, str(TOOLS / 'analysis_tools'))  # as when a tool of that folder is run

create_tool = load_tool('data_converter/create_virtual_points.py')
detect_tool = load_tool('data_converter/detect_instance_masks.py')
boxes_tool = load_tool('analysis_tools/virtual_points_in_boxes.py')
benchmark = load_tool('analysis_tools/benchmark_virtual_points.py')


@pytest.fixture
def root(tiny_nuscenes, tmp_path):
    return Path(shutil.copytree(tiny_nuscenes, tmp_path / 'nuscenes', ignore=shutil.ignore_patterns('*_VIRTUAL')))


def virtual_files(root):
    return sorted(path for path in root.rglob('*_VIRTUAL/*') if not path.name.startswith('.'))


def test_rendered_masks_to_files_then_validation(root, capsys):
    words = ['--root-path', str(root), '--mask-format', 'rendered', '--splits', 'val']
    create_tool.main(words)
    printed = capsys.readouterr().out
    count = len(virtual_files(root))
    assert count == 31 and f'{count} sweeps written' in printed and 'virtual points' in printed
    create_tool.main(words)
    assert f'{count} sweeps up to date' in capsys.readouterr().out
    create_tool.main([*words, '--validate'])
    assert f'{count} files in order' in capsys.readouterr().out
    virtual_files(root)[0].unlink()
    with pytest.raises(ValueError, match='missing or wrong'):
        create_tool.main([*words, '--validate'])
    assert '1 files missing' in capsys.readouterr().out


def test_shards_share_the_work(root, capsys):
    words = ['--root-path', str(root), '--mask-format', 'rendered', '--splits', 'val']
    create_tool.main([*words, '--shard', '1/4'])
    assert len(virtual_files(root)) == 8
    for wrong in ('4/4', '1', 'a/b', '0/0'):
        with pytest.raises(SystemExit):
            create_tool.main([*words, '--shard', wrong])
        assert 'expected i/n' in capsys.readouterr().err


def test_wrong_arguments_are_one_line(root, tmp_path, capsys):
    with pytest.raises(SystemExit):
        create_tool.main(['--root-path', str(root)])
    assert '--masks is needed' in capsys.readouterr().err
    for words, said in (
        (['--root-path', str(tmp_path), '--masks', str(tmp_path)], 'no nuScenes tables'),
        (['--root-path', str(root), '--masks', str(tmp_path / 'none')], 'no masks at'),
        (['--root-path', str(root), '--masks', str(tmp_path), '--splits', 'val'], 'no sweep of v1.0-mini has virtual'),
    ):
        with pytest.raises((FileNotFoundError, ValueError), match=said) as error:
            create_tool.main(words)
        assert '\n' not in str(error.value)


def test_kill_in_the_middle_leaves_no_partial_file_and_resume_completes(root, repo_root, capsys):
    script = TOOLS / 'data_converter' / 'create_virtual_points.py'
    words = ['--root-path', str(root), '--mask-format', 'rendered']
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    process = subprocess.Popen(
        [sys.executable, str(script), *words, '--workers', '2'], env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while len(virtual_files(root)) < 5:
            assert process.poll() is None, 'it ended before it could be killed'
            time.sleep(0.01)
    finally:
        kill_group(process)
    done = virtual_files(root)
    assert 5 <= len(done) < 93
    for path in done:
        read_virtual_file(path)
    create_tool.main(words)
    printed = capsys.readouterr().out
    assert f'{93 - len(done)} sweeps written' in printed and f'{len(done)} sweeps up to date' in printed
    assert len(virtual_files(root)) == 93
    assert list(root.rglob('*.tmp')) == []


def small_mask_rcnn(folder, classes):
    """Config and checkpoint of a Mask R-CNN with random weights and small layers that accepts nearly any box."""
    config = Config.fromfile(
        str(Path(sys.modules['mmdet'].__file__).parent / '.mim/configs/_base_/models/mask_rcnn_r50_fpn.py')
    )
    config.merge_from_dict({
        'model.backbone': dict(depth=18, init_cfg=None, base_channels=8),
        'model.neck': dict(in_channels=[8, 16, 32, 64], out_channels=16),
        'model.rpn_head': dict(in_channels=16, feat_channels=16),
        'model.roi_head.bbox_roi_extractor.out_channels': 16,
        'model.roi_head.bbox_head': dict(in_channels=16, fc_out_channels=16, num_classes=len(classes)),
        'model.roi_head.mask_roi_extractor.out_channels': 16,
        'model.roi_head.mask_head': dict(in_channels=16, conv_out_channels=16, num_classes=len(classes), num_convs=1),
        'model.test_cfg.rpn': dict(nms_pre=20, max_per_img=10),
        'model.test_cfg.rcnn': dict(score_thr=0.01, max_per_img=5),
        'data': dict(test=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='MultiScaleFlipAug', img_scale=(160, 96), flip=False, transforms=[
                dict(type='Resize', keep_ratio=True), dict(type='Normalize', mean=[120.0] * 3, std=[60.0] * 3),
                dict(type='Pad', size_divisor=32), dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ]),
        ])),
    })  # fmt: skip
    config.dump(str(folder / 'model.py'))
    model = build_detector(config.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta=dict(CLASSES=classes)), folder / 'model.pth')
    return str(folder / 'model.py'), str(folder / 'model.pth')


def test_detector_to_masks_to_files(root, tmp_path, capsys):
    model = small_mask_rcnn(tmp_path, ('person', 'car', 'dog'))
    masks = tmp_path / 'masks'
    words = [*model, '--root-path', str(root), '--out-dir', str(masks), '--device', 'cpu', '--score-thr', '0.02',
             '--class-map', 'person=pedestrian', '--shard', '0/40']  # fmt: skip
    detect_tool.main(words)
    files = sorted(masks.rglob('*.json'))
    assert f'{len(files)} mask files written' in capsys.readouterr().out
    rows = [row for path in files for row in json.loads(path.read_text())['annotations']]
    assert len(files) == len(detect_tool.list_images(detect_tool.parse_args(words))) > 0
    assert rows and {row['category_id'] for row in rows} <= {0, 8}
    detect_tool.main(words)
    assert f'0 mask files written to {masks}, {len(files)} already there' in capsys.readouterr().out
    create_tool.main(['--root-path', str(root), '--masks', str(masks)])
    printed = capsys.readouterr().out
    assert 'sweeps skipped: no masks of any image' in printed and 'images left out: no masks' in printed
    found = [read_virtual_file(path) for path in virtual_files(root)]
    assert found and {i for f in found for i in f.virtual_points[:, 3:13].argmax(1)} <= {0, 8}


def test_detector_without_known_classes_is_refused(root, tmp_path):
    model = small_mask_rcnn(tmp_path, ('person', 'dog'))
    with pytest.raises(ValueError, match='--class-map'):
        detect_tool.main([*model, '--root-path', str(root), '--out-dir', str(tmp_path / 'masks'), '--device', 'cpu'])


def shares(printed):
    """{class: (share of all, share of near ones)} of the printed table."""
    lines = [line.split() for line in printed.splitlines()]
    return {line[0]: (line[2], line[4]) for line in lines if len(line) == 5 and line[1].isdigit()}


def test_real_keyframe_virtual_points_lie_in_the_annotated_boxes(real_root, tmp_path, capsys):
    """1000 points of each instance, so that the share does not hang on the draw; one car is within 30 m."""
    words = ['--root-path', str(real_root), '--version', 'v1.0-mini', '--num-points', '1000']
    boxes_tool.main([*words, '--outline', 'points', '--out', str(tmp_path / 'bev.png')])
    found = shares(capsys.readouterr().out)
    assert float(found['car'][1]) > 0.9 and float(found['car'][0]) > 0.97 and float(found['all'][0]) > 0.95
    assert cv2.imread(str(tmp_path / 'bev.png')).shape == (900, 900, 3)
    boxes_tool.main([*words, '--outline', 'box'])
    filled = shares(capsys.readouterr().out)
    assert float(filled['all'][0]) > 0.5


def test_exact_masks_put_points_into_the_boxes(root, capsys):
    boxes_tool.main(['--root-path', str(root), '--outline', 'rendered', '--num', '6'])
    found = shares(capsys.readouterr().out)
    assert float(found['car'][1]) > 0.9


def test_benchmark_compares_both_ways(capsys):
    """Both give the same points, or it raises."""
    benchmark.main(['--sweeps', '1', '--points', '500', '--instances', '6', '--num-points', '5'])
    printed = capsys.readouterr().out
    assert 'sweeps/s/core' in printed and 'pixel by pixel' in printed
    assert np.isfinite(float(printed.split('ratio:')[1].split()[0]))
