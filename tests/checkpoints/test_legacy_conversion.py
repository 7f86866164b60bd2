"""Legacy checkpoints: the same boxes in space before and after conversion, and nothing passed over in silence."""

import math

import pytest
import torch
from helpers import legacy
from helpers.batch import TOY_RANGE, make_batch
from helpers.distill_fakes import build, level_cfgs, write_teacher
from helpers.toy_models import TASKS, toy_bevdepth_cfg, toy_centerpoint_cfg
from mmcv import Config
from mmcv.ops import ModulatedDeformConv2dPack
from torch import nn

from mmdet3d_plugin.checkpoints.files import read_checkpoint
from mmdet3d_plugin.checkpoints.legacy_conversion import plan_conversion
from mmdet3d_plugin.checkpoints.legacy_geometry import check_geometry
from mmdet3d_plugin.distill import student_model_cfg

CLASS_NAMES = [task['class_names'] for task in TASKS]
THRESHOLD, DT, CELL = 0.2, 0.5, 1.6


def config_file(folder, cfg):
    path = folder / 'config.py'
    Config(dict(model=cfg)).dump(str(path))
    return path


def keep_every_box(cfg):
    """The config without limits on number and place of detections."""
    everywhere = [-1e3] * 3 + [1e3] * 3
    cfg['pts_bbox_head']['bbox_coder'].update(max_num=10_000, post_center_range=everywhere)
    cfg['test_cfg']['pts']['post_center_limit_range'] = everywhere
    return cfg


def camera_cfg():
    cfg = keep_every_box(toy_bevdepth_cfg())
    cfg['img_view_transformer']['frustum_anchor'] = 'corner'
    return cfg


def geometry(transform):
    """What the old view transform kept as parameters: 1.6 m cells on +-12.8 m, bins at 1..16 m, corner-anchored."""
    rows, cols = transform.frustum_uv1.shape[:2]
    depths = torch.arange(1.0, 17.0)
    u, v = torch.linspace(0, 175, cols), torch.linspace(0, 63, rows)
    frustum = torch.stack(torch.broadcast_tensors(u, v[:, None], depths[:, None, None]), dim=-1)
    values = dict(dx=[1.6, 1.6, 20.0], bx=[-12.0, -12.0, 0.0], nx=[16.0, 16.0, 1.0])
    stored = {name: torch.tensor(value) for name, value in values.items()}
    return {f'img_view_transformer.{name}': value for name, value in dict(stored, frustum=frustum).items()}


def legacy_camera_state(model, bias=True):
    state = legacy.random_weights(model.state_dict())
    state.update(geometry(model.img_view_transformer))
    if bias:
        state['img_view_transformer.dcn.0.bias'] = torch.linspace(-1, 1, 16)
    return state


def our_boxes(model, neck, seconds):
    """Detections of :func:`legacy.decode`'s form from this code's head and box class."""
    meta = dict(box_type_3d=make_batch(1)['img_metas'][0]['box_type_3d'], frame_dt=seconds)
    everything = dict(nms_type='circle', min_radius=-1.0, pre_max_size=None, post_max_size=None)
    boxes, scores, labels = model.pts_bbox_head.decode(
        model.pts_bbox_head([neck]), [meta], score_threshold=THRESHOLD, nms=everything
    )[0]
    yaw, centre, corners = boxes.yaw.double(), boxes.gravity_center.double(), boxes.corners.double()
    offset = corners - centre[:, None]
    forward = (offset[..., 0] * yaw.cos()[:, None] + offset[..., 1] * yaw.sin()[:, None] > 0).tolist()
    left = (offset[..., 1] * yaw.cos()[:, None] - offset[..., 0] * yaw.sin()[:, None] > 0).tolist()
    above = (offset[..., 2] > 0).tolist()
    found = []
    for i in range(len(scores)):
        points = {'centre': centre[i].tolist(), 'velocity': [*boxes.tensor[i, 7:9].tolist(), 0.0]}
        for corner, ahead, to_left, top in zip(corners[i].tolist(), forward[i], left[i], above[i]):
            place = 'front' if ahead else 'rear', 'left' if to_left else 'right', 'top' if top else 'bottom'
            points[' '.join(place)] = corner
        found.append((int(labels[i]), float(scores[i]), points))
    return found


def assert_same_boxes(ours, theirs):
    """Pair boxes of one class by their centres (equal scores may come in either order), then compare all there is."""
    assert len(ours) == len(theirs) > 20
    for label in range(10):
        new, old = ([entry[1:] for entry in found if entry[0] == label] for found in (ours, theirs))
        assert len(new) == len(old) > 0
        centres = [torch.tensor([points['centre'] for _, points in found], dtype=torch.float64) for found in (new, old)]
        partner = torch.cdist(*centres).argmin(dim=1).tolist()
        assert sorted(partner) == list(range(len(old)))
        for (score, points), index in zip(new, partner):
            old_score, old_points = old[index]
            assert abs(score - old_score) < 1e-5
            assert set(points) == set(old_points) and len(points) == 10
            for name, place in points.items():
                assert max(abs(a - b) for a, b in zip(place, old_points[name])) < 1e-5, name


def test_the_reference_has_the_documented_axes():
    """The old documentation's picture: yaw -pi/2 faces x (front), -pi faces y (left), 0 faces -y."""
    for yaw, (x, y) in ((-math.pi / 2, (2, 0)), (-math.pi, (0, 2)), (0.0, (0, -2))):
        points = legacy.box_points(0, 0, 0, 2.0, 4.0, 1.0, yaw)
        middle = [sum(points[f'front {side} top'][axis] for side in ('left', 'right')) / 2 for axis in (0, 1)]
        assert middle == pytest.approx([x, y], abs=1e-12)
    assert legacy.box_points(0, 0, 0, 2.0, 4.0, 1.0, -math.pi / 2)['front left top'] == pytest.approx((2, 1, 0.5))


@pytest.mark.parametrize('dynamic', [True, False], ids=['dynamic', 'hard'])
def test_centerpoint(convert, tmp_path, dynamic):
    cfg = keep_every_box(toy_centerpoint_cfg(dynamic=dynamic))
    model = build(cfg).eval()
    state = legacy.random_weights(model.state_dict())
    if not dynamic:  # ten numbers a point: no z offset to the pillar centre
        key = 'pts_voxel_encoder.pfn_layers.0.linear.weight'
        state[key] = state[key][:, :10]
    torch.save(dict(state_dict=state, meta=dict(epoch=20, CLASSES=sum(CLASS_NAMES, []))), tmp_path / 'old.pth')
    convert(config_file(tmp_path, cfg), tmp_path / 'old.pth', tmp_path / 'new.pth')

    converted, meta = read_checkpoint(str(tmp_path / 'new.pth'))
    assert meta['epoch'] == 20 and meta['converted_from']['file'] == 'old.pth'
    model.load_state_dict(converted)
    batch = make_batch(1, seed=3)
    with torch.no_grad():
        neck = model.extract_bev(batch).head_map
        theirs = legacy.decode(state, neck, CLASS_NAMES, TOY_RANGE, CELL, THRESHOLD)
        assert_same_boxes(our_boxes(model, neck, DT), theirs)
        if not dynamic:
            assert_equal_pillars(model, state, batch)


def assert_equal_pillars(model, state, batch):
    """The converted hard pillar net against the old one: 5 values, 3 offsets to the mean, 2 to the pillar's centre."""
    voxels, counts, coors = model.voxelize(batch['points'])
    ours = model.pts_voxel_encoder(voxels.clone(), counts, coors)
    prefix = 'pts_voxel_encoder.pfn_layers.0'
    norm = [state[f'{prefix}.norm.{name}'] for name in ('running_mean', 'running_var', 'weight', 'bias')]
    for pillar in range(0, len(voxels), 7):
        points = voxels[pillar, : counts[pillar]]
        centre = coors[pillar, [3, 2]] * 0.4 + 0.2 - 12.8
        inputs = torch.cat([points, points[:, :3] - points[:, :3].mean(0), points[:, :2] - centre], dim=1)
        hidden = inputs @ state[f'{prefix}.linear.weight'].T
        if len(points) < voxels.shape[1]:
            hidden = torch.cat([hidden, hidden.new_zeros(1, hidden.shape[1])])  # padding takes part in the maximum
        expected = nn.functional.batch_norm(hidden, *norm, eps=1e-3).relu().amax(0)
        torch.testing.assert_close(ours[pillar], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('bias', [True, False])
def test_bevdepth4d(convert, tmp_path, bias):
    cfg = camera_cfg()
    model, old = build(cfg).eval(), build(cfg).eval()
    state = legacy_camera_state(model, bias)
    torch.save(dict(state_dict=state), tmp_path / 'old.pth')
    convert(config_file(tmp_path, cfg), tmp_path / 'old.pth', tmp_path / 'new.pth')
    model.load_state_dict(read_checkpoint(str(tmp_path / 'new.pth'))[0])

    old.img_view_transformer.dcn[0] = ModulatedDeformConv2dPack(16, 16, 3, padding=1, bias=bias).eval()
    stored = set(geometry(old.img_view_transformer))
    old.load_state_dict({key: value for key, value in state.items() if key not in stored})
    batch = make_batch(1, seed=3)
    with torch.no_grad():
        neck, old_neck = model.extract_bev(batch).head_map, old.extract_bev(batch).head_map
        torch.testing.assert_close(neck, old_neck, rtol=1e-4, atol=1e-5)
        theirs = legacy.decode(state, neck, CLASS_NAMES, TOY_RANGE, CELL, THRESHOLD, seconds=DT)
        assert_same_boxes(our_boxes(model, neck, DT), theirs)


def distilled_cfg(folder, **aligner):
    levels = level_cfgs()
    for level in levels:
        level['aligner'] = aligner or level['aligner']
    return dict(
        type='DualDistill',
        student=camera_cfg(),
        teacher=write_teacher(folder),
        levels=levels,
        response=dict(type='CrossHeadBoxLoss'),
    )


def adaptations(layer=''):
    """Student and teacher channels of the toy's three levels, as 1x1 convolutions inside whatever ``layer`` names."""
    state = {}
    for level, (ours, theirs) in enumerate(((24, 16), (32, 32), (16, 48))):
        state[f'channel_wise_adaptations.{level}.{layer}weight'] = torch.rand(theirs, ours, 1, 1)
        state[f'channel_wise_adaptations.{level}.{layer}bias'] = torch.rand(theirs)
        state[f'spatial_wise_adaptations.{level}.weight'] = torch.rand(1, 1, 3, 3)
        state[f'spatial_wise_adaptations.{level}.bias'] = torch.rand(1)
    return state


@pytest.mark.parametrize('layer', ['', '1.', '0.'])
def test_distilled_model_with_pointwise_aligners(convert, tmp_path, layer):
    cfg = distilled_cfg(tmp_path, type='Conv1x1Aligner')
    model = build(cfg)
    state = {**legacy_camera_state(model.student), **adaptations(layer)}
    state['teacher_model.pts_neck.weight'] = torch.ones(1)
    torch.save(dict(state_dict=state), tmp_path / 'old.pth')
    convert(config_file(tmp_path, cfg), tmp_path / 'old.pth', tmp_path / 'new.pth')
    converted, _ = read_checkpoint(str(tmp_path / 'new.pth'))
    model.load_state_dict(converted)
    for index, name in enumerate(('backbone1', 'backbone2', 'head')):
        aligner, loss = model.distill['aligners'][name], model.distill['losses'][name]
        assert torch.equal(aligner.conv.weight, state[f'channel_wise_adaptations.{index}.{layer}weight'])
        assert torch.equal(loss.spatial_conv.bias, state[f'spatial_wise_adaptations.{index}.bias'])

    plain = tmp_path / 'plain'
    plain.mkdir()
    convert(config_file(plain, student_model_cfg(cfg)), tmp_path / 'old.pth', plain / 'new.pth')
    student, _ = read_checkpoint(str(plain / 'new.pth'))
    assert set(student) == {key for key in converted if not key.startswith('distill.')}
    assert all(torch.equal(value, converted[key]) for key, value in student.items())


def test_adaptation_layers_without_counterpart_are_an_error_that_says_what_to_do(convert, tmp_path, capsys):
    cfg = distilled_cfg(tmp_path)
    state = {**legacy_camera_state(build(cfg).student), **adaptations()}
    state['channel_wise_adaptations.0.1.conv1.weight'] = torch.ones(1)
    torch.save(dict(state_dict=state), tmp_path / 'old.pth')
    with pytest.raises(ValueError, match=r'5 entries of the file have no place.*plain student') as error:
        convert(config_file(tmp_path, cfg), tmp_path / 'old.pth', tmp_path / 'new.pth')
    out = capsys.readouterr().out
    assert '\n' not in str(error.value) and not (tmp_path / 'new.pth').exists()
    assert 'unmapped: channel_wise_adaptations.0.1.conv1.weight' in out
    assert 'missing: distill.aligners.backbone1.attention.query.weight' in out


def test_dry_run_prints_every_entry_and_writes_nothing(convert, tmp_path, capsys):
    cfg = camera_cfg()
    state = {**legacy_camera_state(build(cfg)), **adaptations()}
    torch.save(dict(state_dict=state), tmp_path / 'old.pth')
    before = sorted(path.name for path in tmp_path.iterdir())
    convert(config_file(tmp_path, cfg), tmp_path / 'old.pth', '--dry-run')
    lines = capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, 'config.py'])
    assert [line.split(' ')[0] for line in lines[: len(state)]] == list(state)
    assert len([line for line in lines if line.endswith('[(w, l, h) -> (l, w, h)]')]) == 12
    assert len([line for line in lines if line.endswith('[(sin, cos) -> (-cos, -sin)]')]) == 12
    assert 'img_view_transformer.dcn.1.running_mean  [minus img_view_transformer.dcn.0.bias]' in lines
    assert 'img_view_transformer.frustum left out: follows from the config' in lines
    assert f'{len(state)} in the file' in lines[-1]


@pytest.mark.parametrize(
    'change, listed',
    [
        (lambda state: state.pop('img_neck.lateral_convs.0.conv.bias'), 'missing: img_neck.lateral_convs.0.conv.bias'),
        (lambda state: state.update({'img_neck.extra': torch.ones(1)}), 'unmapped: img_neck.extra'),
    ],
)
@pytest.mark.parametrize('words', [['new.pth'], ['--dry-run']])
def test_unmapped_and_missing_entries_are_errors(convert, tmp_path, monkeypatch, capsys, change, listed, words):
    monkeypatch.chdir(tmp_path)
    cfg = camera_cfg()
    state = legacy_camera_state(build(cfg))
    change(state)
    torch.save(dict(state_dict=state), 'old.pth')
    with pytest.raises(ValueError, match='old.pth does not fit'):
        convert(config_file(tmp_path, cfg), 'old.pth', *words)
    assert listed in capsys.readouterr().out and not (tmp_path / 'new.pth').exists()


def test_a_misshaped_entry_is_an_error(convert, tmp_path):
    cfg = camera_cfg()
    state = legacy_camera_state(build(cfg))
    state['img_neck.lateral_convs.0.conv.bias'] = torch.ones(3)
    torch.save(dict(state_dict=state), tmp_path / 'old.pth')
    with pytest.raises(ValueError, match=r'img_neck.lateral_convs.0.conv.bias: \(3,\) in the file, \(16,\)'):
        convert(config_file(tmp_path, cfg), tmp_path / 'old.pth', tmp_path / 'new.pth')


@pytest.mark.parametrize(
    'meta, message',
    [
        (dict(dualdistill_version='0.1'), 'was written by this code'),
        (dict(CLASSES=('truck', 'car')), r"trained with classes \['truck', 'car'\], the config has \['car', 'truck'"),
    ],
)
def test_files_that_must_not_be_converted(convert, tmp_path, meta, message):
    cfg = toy_centerpoint_cfg()
    torch.save(dict(state_dict=build(cfg).state_dict(), meta=meta), tmp_path / 'old.pth')
    with pytest.raises(ValueError, match=message):
        convert(config_file(tmp_path, cfg), tmp_path / 'old.pth', tmp_path / 'new.pth')


@pytest.mark.parametrize(
    'name, value, message',
    [
        ('dx', torch.tensor([0.8, 0.8, 20.0]), 'xbound'),
        ('bx', torch.tensor([-12.0, -12.0, 5.0]), r'z \[-5.0, 15.0\]'),
        ('frustum', torch.zeros(59, 4, 11, 3), r'\(59, 4, 11\) depth bins.*\(16, 4, 11\)'),
    ],
)
def test_another_geometry_is_an_error(name, value, message):
    model = build(camera_cfg())
    state = geometry(model.img_view_transformer)
    check_geometry(state, model)
    with pytest.raises(ValueError, match=message):
        check_geometry({**state, f'img_view_transformer.{name}': value}, model)


def test_another_anchor_is_an_error_that_names_the_option():
    model = build(toy_bevdepth_cfg())
    state = geometry(model.img_view_transformer)
    with pytest.raises(ValueError, match=r"u 0..175, v 0..63, the config at u 7.5..167.5.*frustum_anchor='corner'"):
        check_geometry(state, model)
    shifted = state['img_view_transformer.frustum'] + torch.tensor([0.0, 0.0, 0.5])
    with pytest.raises(ValueError, match='depth bins at 1.5..16.5 m, the config at 1..16 m'):
        check_geometry({'img_view_transformer.frustum': shifted}, build(camera_cfg()))


def test_the_source_is_left_alone():
    model = build(toy_centerpoint_cfg())
    state = legacy.random_weights(model.state_dict())
    copy = {key: value.clone() for key, value in state.items()}
    plan_conversion(state, model)
    assert list(state) == list(copy) and all(torch.equal(state[key], copy[key]) for key in copy)
