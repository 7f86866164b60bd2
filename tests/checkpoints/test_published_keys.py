"""Published files of the second family: converted names and shapes are exactly those of the full-size models."""

import os
import re
from pathlib import Path

import pytest
import torch
from helpers.bevformer import toy_bevformer_cfg
from helpers.published import toy_state
from mmcv import Config
from mmdet3d.models import build_detector

from mmdet3d_plugin.checkpoints.legacy_conversion import plan_conversion
from mmdet3d_plugin.checkpoints.legacy_transformer import PUBLISHED_CAMERAS, settings_as_published
from mmdet3d_plugin.models.detectors.bevformer import BEVFORMER_CAMERAS

DISTILLED = 'lidar2camera_bev_distillation/teacher_to_bevformer/lidarformer_to_bevformer_nus_1x1conv_r50'
FILES = {
    'keys_bevformer_r50_distilled': DISTILLED,
    'keys_lidarformer_teacher': 'lidarformer/lidarformer_voxel0064_cbgs_20e_nus',
    'keys_mvpformer_teacher': 'mvpformer/mvpformer_voxel0064_cbgs_20e_nus',
}
CODE_WEIGHTS, LEVELS = 'pts_bbox_head.code_weights', 'pts_bbox_head.transformer.level_embeds'
# what has no place here, and why
LEFT_OUT = {
    'keys_bevformer_r50_distilled': {CODE_WEIGHTS: 'follows from the config'},
    'keys_lidarformer_teacher': {LEVELS: 'no output ever depended on it'},
    'keys_mvpformer_teacher': {LEVELS: 'no output ever depended on it'},
}


@pytest.fixture(scope='module')
def published_keys():
    """Folder with the key lists of published files."""
    if 'PUBLISHED_KEYS' not in os.environ:
        pytest.skip('no key lists of published checkpoints: set PUBLISHED_KEYS to a folder of keys_*.txt files')
    return Path(os.environ['PUBLISHED_KEYS'])


def read_state(path):
    """Tensors without data of a file with lines like 'a.weight (2, 3)'."""
    lines = [re.fullmatch(r'(\S+) \((.*)\)', line).groups() for line in path.read_text().splitlines()]
    shapes = {name: [int(size) for size in shape.split(',') if size.strip()] for name, shape in lines}
    return {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}


def build(config):
    """The model of a config; a distiller around a teacher of random weights."""
    cfg = Config.fromfile(f'configs/{config}.py').model
    if cfg.type == 'DualDistill':
        cfg.teacher.update(checkpoint=None, allow_random_weights=True)
    return build_detector(cfg)


@pytest.mark.filterwarnings('ignore:.*random')
@pytest.mark.parametrize('name', FILES)
def test_converted_names_and_shapes_are_the_models(published_keys, repo_root, monkeypatch, name):
    monkeypatch.chdir(repo_root)
    model = build(FILES[name])
    state = read_state(published_keys / f'{name}.txt')
    conversion = plan_conversion(state, model)
    assert conversion.unmapped == [] and conversion.missing == []
    shapes = {key: tuple(value.shape) for key, value in conversion.state.items()}
    assert shapes == {key: tuple(value.shape) for key, value in model.state_dict().items()}
    left_out = [line for line in conversion.lines if ' left out: ' in line]
    assert left_out == [f'{key} left out: {reason}' for key, reason in LEFT_OUT[name].items()]
    assert len([line for line in conversion.lines if '(w, l) -> (l, w)' in line]) == 2 * 6  # weight and bias a layer
    assert len(state) == len(conversion.state) + len(left_out)


def toy_model(**overrides):
    return build_detector(toy_bevformer_cfg(encoder=dict(num_cams=6), **{'cameras': PUBLISHED_CAMERAS, **overrides}))


def test_weights_arrive_under_their_new_names():
    model = toy_model()
    state = toy_state(model)
    assert 'pts_bbox_head.transformer.encoder.layers.1.norms.0.weight' in state
    conversion = plan_conversion(state, model)
    assert not conversion.unmapped and not conversion.missing
    boxes = ('dim', 'rot')
    for key, value in model.state_dict().items():
        if not any(f'.{name}.' in key for name in boxes):
            assert torch.equal(conversion.state[key], value), key


def test_cameras_in_another_order_take_their_rows_along():
    assert PUBLISHED_CAMERAS == BEVFORMER_CAMERAS
    ours = ('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT')
    model = toy_model(cameras=ours)
    state = toy_state(model)
    published = torch.arange(6.0)[:, None].expand(6, 16)
    conversion = plan_conversion({**state, 'pts_bbox_head.transformer.cams_embeds': published}, model)
    assert conversion.state['bev_encoder.cams_embeds'][:, 0].tolist() == [2, 0, 1, 4, 3, 5]
    assert any("rows in the order of the config's cameras" in line for line in conversion.lines)


def test_kernels_of_spconv_2_are_turned():
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(torch.zeros(3, 3, 3, 2, 4))
    saved = torch.arange(4 * 27 * 2.0).view(4, 3, 3, 3, 2)
    converted = plan_conversion(dict(weight=saved), layer)
    assert converted.state['weight'].shape == (3, 3, 3, 2, 4)
    assert converted.state['weight'][0, 1, 2, 1, 3] == saved[3, 0, 1, 2, 1]
    assert 'spconv 2' in converted.lines[0]


@pytest.mark.filterwarnings('ignore:pretrained')
def test_settings_of_published_weights_are_named(repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    assert settings_as_published(toy_model(), {}) == [
        "bev_encoder.alignment='released'", 'bev_encoder.shift_both=True', "quaternion='w'", 'wrap_yaw=False'
    ]  # fmt: skip
    assert settings_as_published(build('bevformer/bevformer_r50_928x1600_24e_nus_as_released'), {}) == []
    assert settings_as_published(torch.nn.Linear(1, 1), {}) == []
