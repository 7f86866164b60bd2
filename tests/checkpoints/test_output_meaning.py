"""What a file tells of its outputs, and that a test refuses a file whose outputs mean something else."""

import pytest
import torch
from helpers.bevformer import toy_bevformer_cfg
from helpers.distill_fakes import build
from helpers.query_heads import query_head_cfg
from helpers.toy_models import TASKS, TOY_RANGE, toy_bevdepth_cfg, toy_centerpoint_cfg, toy_lidarformer_cfg
from mmcv import Config

from mmdet3d_plugin import load_student
from mmdet3d_plugin.checkpoints.averages import split_averages
from mmdet3d_plugin.checkpoints.output_meaning import GEOMETRY, SETTINGS, checkpoint_meta, detector_facts, stored_facts
from mmdet3d_plugin.checkpoints.told_by_meta import class_finding, trained_classes, version_finding

NAMES = [task['class_names'] for task in TASKS]
FLAT = [name for names in NAMES for name in names]


@pytest.fixture(scope='module')
def camera():
    return build(toy_bevdepth_cfg())


@pytest.fixture(scope='module')
def lidar():
    return build(toy_centerpoint_cfg())


def config_text(model, **others):
    """What mmcv stores of a config, wrapped and commented like any file."""
    return Config(dict(model=model, custom_imports=dict(imports=['mmdet3d_plugin']), **others)).pretty_text


def test_a_detector_tells_its_meaning_in_plain_values(camera, lidar):
    facts = detector_facts(camera)
    assert facts == dict(
        tasks=NAMES,
        point_cloud_range=list(TOY_RANGE),
        bev_cell=[1.6, 1.6],
        velocity_mode='displacement',
        depth_bound=[1.0, 17.0, 1.0],
        frustum_anchor='center',
    )
    theirs = detector_facts(lidar)
    assert theirs['voxel_size'] == pytest.approx([0.4, 0.4, 8.0]) and theirs['velocity_mode'] == 'velocity'
    assert 'depth_bound' not in theirs and theirs['bev_cell'] == [1.6, 1.6]
    assert checkpoint_meta(camera) == dict(detector=facts) and checkpoint_meta(torch.nn.Linear(1, 1)) == {}


DETECTORS = {
    'BEVDepth4D': toy_bevdepth_cfg,
    'CenterPointBEV': toy_centerpoint_cfg,
    'BEVFormer': toy_bevformer_cfg,
    'LidarFormer': toy_lidarformer_cfg,
    'LidarFormer with queries': lambda: toy_lidarformer_cfg(head=query_head_cfg()),
    'MVPFormer': lambda: toy_lidarformer_cfg(virtual=True),
}


@pytest.mark.parametrize('name', DETECTORS)
def test_everything_a_detector_tells_is_read_back_and_compared(name):
    facts = detector_facts(build(DETECTORS[name]()))
    assert set(facts) <= {'tasks', *GEOMETRY, *SETTINGS}
    assert stored_facts(dict(detector=facts)) == facts


@pytest.mark.parametrize(
    'cfg, change',
    [
        (
            toy_lidarformer_cfg(virtual=True),
            dict(pts_voxel_encoder=dict(type='VirtualVoxelEncoder', virtual_time='dt')),
        ),
        (toy_bevformer_cfg(), dict(image_norm=dict(to_rgb=True))),
    ],
)
def test_what_a_network_saw_in_another_way_is_not_tested(cfg, change, tmp_path):
    model, path = build(cfg), str(tmp_path / 'seen.pth')
    torch.save(dict(state_dict=model.state_dict(), meta=checkpoint_meta(model)), path)
    (name,) = (
        name for name, value in detector_facts(build({**cfg, **change})).items() if value != detector_facts(model)[name]
    )
    with pytest.raises(ValueError, match=f'settings: trained with {name} '):
        load_student(Config(dict(model={**cfg, **change})), path)
    without = {key: value for key, value in detector_facts(model).items() if key != name}
    torch.save(dict(state_dict=model.state_dict(), meta=dict(detector=without)), path)  # as older files tell it
    load_student(Config(dict(model={**cfg, **change})), path)


@pytest.mark.parametrize('wrap', [lambda cfg: cfg, lambda cfg: dict(type='DualDistill', student=cfg)])
def test_an_older_file_tells_the_same_by_its_config_text(camera, wrap):
    assert stored_facts(dict(config=config_text(wrap(toy_bevdepth_cfg())))) == detector_facts(camera)


def test_an_older_teacher_file_tells_the_same_by_its_config_text(lidar):
    stored, facts = stored_facts(dict(config=config_text(toy_centerpoint_cfg()))), detector_facts(lidar)
    assert stored.pop('voxel_size') == pytest.approx(facts.pop('voxel_size')) and stored == facts


@pytest.mark.parametrize(
    'meta',
    [
        {},
        dict(config=''),
        dict(config='model = open("x")'),
        dict(config=None),
        dict(config=3),
        dict(detector=3, CLASSES='car', hook_msgs='none'),
        dict(detector=dict(tasks='car', point_cloud_range=[None], velocity_mode=3)),
    ],
)
def test_a_file_that_tells_nothing_claims_nothing(meta):
    assert stored_facts(meta) == {}
    assert class_finding(meta, NAMES).verdict == 'unknown' and trained_classes(meta) is None
    assert split_averages({'a': torch.ones(1), 'ema_a': torch.ones(1)}, meta).evidence is None


def other_tasks(order):
    cfg = toy_bevdepth_cfg()
    cfg['pts_bbox_head']['tasks'] = [dict(class_names=names) for names in order]
    return dict(detector=dict(tasks=order)), dict(config=config_text(cfg))


def other(**changes):
    """The same difference in the meta of a new file and in the config text of an older one."""
    options = {key: changes[key] for key in ('range', 'cell', 'velocity_mode') if key in changes}
    cfg = toy_bevdepth_cfg(**options)
    cfg['img_view_transformer'].update(changes.get('transform', {}))
    return dict(detector=detector_facts(build(cfg))), dict(config=config_text(cfg))


WIDER = (-25.6, -25.6, -5.0, 25.6, 25.6, 3.0)
DIFFERENCES = {
    'classes of a task swapped': (lambda: other_tasks([NAMES[0], NAMES[1][::-1], *NAMES[2:]]), 'classes: trained with'),
    'tasks swapped': (lambda: other_tasks([NAMES[3], *NAMES[1:3], NAMES[0], *NAMES[4:]]), 'classes: trained with t'),
    'flat order': (lambda: (dict(CLASSES=FLAT[::-1]),), r"classes: trained with classes \['traffic_cone', 'pedes"),
    'range': (lambda: other(range=WIDER, cell=3.2), r'range: trained with point_cloud_range \[-25.6, -25.6'),
    'velocities': (lambda: other(velocity_mode='velocity'), "velocity_mode velocity, the config has displacement"),
    'depth bins': (lambda: other(transform=dict(depth_bound=(2.0, 18.0, 1.0))), r'depth_bound \[2.0, 18.0, 1.0\]'),
    'frustum': (lambda: other(transform=dict(frustum_anchor='corner')), 'frustum_anchor corner'),
    'old boxes': (lambda: (dict(mmdet3d_version='0.17.1'),), 'boxes by version: mmdet3d 0.17.1'),
}  # fmt: skip


@pytest.mark.parametrize('name', DIFFERENCES)
def test_outputs_of_another_meaning_are_not_tested(name, camera, tmp_path):
    metas, message = DIFFERENCES[name]
    path = str(tmp_path / 'other.pth')
    for meta in metas():
        torch.save(dict(state_dict=camera.state_dict(), meta=meta), path)
        with pytest.raises(ValueError, match=f'other.pth.*{message}'):
            load_student(Config(dict(model=toy_bevdepth_cfg())), path)


def test_a_file_of_the_same_meaning_is_tested(camera, tmp_path, caplog):
    path = str(tmp_path / 'same.pth')
    for meta in (dict(checkpoint_meta(camera), CLASSES=FLAT), dict(config=config_text(toy_bevdepth_cfg()))):
        torch.save(dict(state_dict=camera.state_dict(), meta=meta), path)
        load_student(Config(dict(model=toy_bevdepth_cfg())), path)
    assert caplog.text.count('could not be checked') == 1  # the second does not say which mmdet3d wrote it
    assert caplog.text.count('as the file does not tell: boxes by version') == 1


@pytest.mark.parametrize('bare', [True, False])
def test_a_file_without_meta_is_tested_and_says_what_was_not_checked(camera, tmp_path, caplog, bare):
    path = str(tmp_path / 'foreign.pth')
    torch.save(camera.state_dict() if bare else dict(model=camera.state_dict()), path)
    model = load_student(Config(dict(model=toy_bevdepth_cfg())), path)
    assert torch.equal(next(model.parameters()), next(camera.parameters()))
    lines = [record.getMessage() for record in caplog.records if 'could not be checked' in record.getMessage()]
    assert lines == [
        f'checkpoint {path!r}: could not be checked, as the file does not tell: classes, range, settings, boxes by '
        f'version'
    ]


def test_weights_that_are_not_finite_are_not_tested(camera, tmp_path):
    path = str(tmp_path / 'nan.pth')
    state = {name: value.clone() for name, value in camera.state_dict().items()}
    state['img_neck.' + next(iter(camera.img_neck.state_dict()))].fill_(float('nan'))
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ValueError, match=r'nan.pth.*1 entries are not finite, img_neck'):
        load_student(Config(dict(model=toy_bevdepth_cfg())), path)


def test_files_of_this_code_have_todays_boxes():
    assert version_finding(dict(dualdistill_version='0.1.0')).verdict == 'ok'
    assert version_finding(dict(detector={})).verdict == 'ok'
    assert version_finding(dict(detector={}, mmdet3d_version='0.17.1')).verdict == 'wrong'
