"""What converted published files of the second family say of themselves, and which configs take them."""

import pytest
import torch
from helpers.bevformer import toy_bevformer_cfg
from helpers.distill_fakes import build
from helpers.published import toy_state
from helpers.toy_models import toy_lidarformer_cfg
from mmcv import Config

from mmdet3d_plugin import load_student
from mmdet3d_plugin.checkpoints.legacy_transformer import (
    PUBLISHED_CAMERAS,
    conversion_notes,
    published_facts,
    settings_as_published,
)

SERVED_BY = 'configs/bevformer/bevformer_r50_928x1600_24e_nus_as_released.py'
AS_RELEASED = dict(alignment='released', shift_both=True)
MOTION = dict(motion_source='can', quaternion='w', wrap_yaw=False)
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
OLD_TEXT = 'img_norm_cfg = dict(mean=[103.530, 116.280, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False)'


def config(**options):
    encoder = dict(num_cams=6, **options.pop('encoder', {}))
    return toy_bevformer_cfg(**{'cameras': PUBLISHED_CAMERAS, 'encoder': encoder, **options})


@pytest.fixture
def converted(convert, tmp_path):
    """Function: config of a model, meta of a published file -> path of the converted file."""

    def run(cfg, meta):
        Config(dict(model=cfg)).dump(str(tmp_path / 'config.py'))
        torch.save(dict(state_dict=toy_state(build(cfg)), meta=meta), str(tmp_path / 'old.pth'))
        words = [tmp_path / 'config.py', tmp_path / 'old.pth', tmp_path / 'new.pth']
        convert(*words)
        return str(tmp_path / 'new.pth')

    return run


def test_a_converted_file_is_refused_where_its_motion_means_something_else(converted, capsys):
    plain, served = config(), config(encoder=AS_RELEASED, **MOTION)
    path = converted(plain, dict(config=OLD_TEXT))
    assert 'config.py has it otherwise, and a test with it refuses the file: test published' in capsys.readouterr().out
    with pytest.raises(
        ValueError, match='trained with alignment released, both references shifted, .*has warp: '
    ) as told:
        load_student(Config(dict(model=plain)), path)
    assert SERVED_BY in str(told.value) and 'in place of a distillation config' in str(told.value)
    with pytest.raises(ValueError, match='motion_source can, quaternion w, yaw not wrapped, .*as_released'):
        load_student(Config(dict(model=config(encoder=AS_RELEASED))), path)
    with pytest.raises(ValueError, match='image_norm BGR, .*use the config it was trained with'):
        load_student(Config(dict(model=dict(served, image_norm=IMAGENET))), path)
    load_student(Config(dict(model=served)), path)


def test_the_facts_of_a_file_are_those_of_the_model_that_serves_it(converted, capsys):
    cameras = PUBLISHED_CAMERAS[::-1]
    served = config(encoder=AS_RELEASED, cameras=cameras, **MOTION)
    path = converted(served, {})
    assert 'note' not in capsys.readouterr().out
    facts, model = torch.load(path, weights_only=True)['meta']['detector'], build(served)
    told = ('cameras', 'alignment', 'history', 'motion_source', 'image_norm')
    assert facts == {name: model.meaning()[name] for name in told}
    assert facts['cameras'].startswith('CAM_BACK_RIGHT, CAM_BACK_LEFT')


def test_normalisation_is_the_old_config_s_where_it_tells():
    model = build(config(encoder=AS_RELEASED, image_norm=IMAGENET, **MOTION))
    told = dict(config=f'img_norm_cfg = {IMAGENET}')
    assert published_facts(model, told)['image_norm'] == str(model.image_norm) and not settings_as_published(
        model, told
    )
    for text in (OLD_TEXT, '', 'img_norm_cfg = 3', "img_norm_cfg = dict(mean='x')", 'img_norm_cfg = dict(scale=2)'):
        meta = dict(config=text)
        assert published_facts(model, meta)['image_norm'] == 'BGR, mean 103.53, 116.28, 123.675, std 1, 1, 1'
        (setting,) = settings_as_published(model, meta)
        assert setting == "image_norm={'mean': (103.53, 116.28, 123.675), 'std': (1.0, 1.0, 1.0), 'to_rgb': False}"


def test_other_detectors_have_no_such_facts():
    model = build(toy_lidarformer_cfg())
    assert published_facts(model, {}) == {} and conversion_notes(model, {}, 'config.py') == []


def test_the_ring_index_of_published_mvpformers_is_noted():
    (note,) = conversion_notes(build(toy_lidarformer_cfg(virtual=True)), {}, 'config.py')
    assert 'ring index in the first label column of raw points' in note and '\n' not in note


def test_the_note_is_printed(converted, capsys):
    converted(toy_lidarformer_cfg(virtual=True), {})
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith('note: ')] == [
        "note: published MVPFormer weights saw the LiDAR's ring index in the first label column of raw points, where "
        'the loaders here write 1: detections may differ from the published ones'
    ]
