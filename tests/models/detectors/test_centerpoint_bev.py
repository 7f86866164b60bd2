"""CenterPointBEV: hard and dynamic pillars, empty samples, level sizes, checkpoint names, and that it learns."""

import copy

import pytest
import torch
from helpers.bev import level
from helpers.toy_models import toy_centerpoint_cfg
from mmcv import Config, ConfigDict
from mmdet3d.core import LiDARInstance3DBoxes
from mmdet3d.models import CenterPoint
from mmdet3d.models.builder import DETECTORS

RECTANGLE = (-6.4, -12.8, -5.0, 6.4, 25.6, 3.0)  # canvas 32 wide (x), 96 high (y)
VARIANTS = pytest.mark.parametrize('dynamic', [True, False], ids=['dynamic', 'hard'])


def build(**kwargs):
    return DETECTORS.build(toy_centerpoint_cfg(**kwargs))


def scene(num_boxes=4, labels=(0, 1, 8, 5)):
    """Boxes inside +-10 m with points on them and on the ground: (points (M, 5), boxes, labels)."""
    centre = (torch.rand(num_boxes, 2) - 0.5) * 20
    rows = torch.zeros(num_boxes, 9)
    rows[:, :2], rows[:, 2], rows[:, 3:6] = centre, -1.5, torch.tensor([4.0, 2.0, 1.6])
    rows[:, 6], rows[:, 7:] = torch.rand(num_boxes) * 3, torch.randn(num_boxes, 2)
    on_boxes = torch.cat(
        [centre[:, None] + torch.randn(num_boxes, 40, 2) * 0.5, torch.rand(num_boxes, 40, 3) - 1], dim=2
    )
    ground = torch.cat([(torch.rand(300, 2) - 0.5) * 24, torch.full((300, 1), -1.6), torch.rand(300, 2)], dim=1)
    points = torch.cat([on_boxes.flatten(0, 1), ground])
    return points, LiDARInstance3DBoxes(rows, 9), torch.tensor(labels[:num_boxes])


def make_batch(size=2):
    points, boxes, labels = zip(*[scene() for _ in range(size)])
    img_metas = [dict(box_type_3d=LiDARInstance3DBoxes) for _ in range(size)]
    return dict(points=list(points), gt_bboxes_3d=list(boxes), gt_labels_3d=list(labels), img_metas=img_metas)


@VARIANTS
@pytest.mark.parametrize('range', [(-12.8, -12.8, -5.0, 12.8, 12.8, 3.0), RECTANGLE])
def test_planned_levels_are_the_real_ones(range, dynamic):
    model = build(range=range, dynamic=dynamic).eval()
    levels = model.bev_levels()
    bev = model.extract_bev(make_batch())
    assert list(levels) == ['backbone0', 'backbone1', 'backbone2', 'head']
    for name, planned in levels.items():
        assert bev.level(name).shape[1:] == planned.shape, name
    assert model.point_cloud_range == range


def test_rows_are_y_and_columns_are_x():
    model = build(range=RECTANGLE).eval()
    points = torch.tensor([[-6.3, 25.5, 0, 0, 0.0]])
    canvas = model._canvas([points])[0].abs().sum(0)
    assert canvas.shape == (96, 32)
    assert canvas.nonzero().tolist() == [[95, 0]]


@VARIANTS
def test_a_few_steps_reduce_the_loss(dynamic):
    model = build(dynamic=dynamic)
    model.init_weights()
    batch = make_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    totals = []
    for _ in range(12):
        losses = model(return_loss=True, **batch)
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert len(losses) == 12
    assert totals[-1] < 0.6 * totals[0]


@VARIANTS
def test_results_have_the_shape_of_mmdet3d(dynamic):
    model = build(dynamic=dynamic).eval()
    batch = make_batch()
    results = model(return_loss=False, points=batch['points'], img_metas=batch['img_metas'])
    assert len(results) == 2
    for result in results:
        boxes = result['pts_bbox']['boxes_3d']
        assert isinstance(boxes, LiDARInstance3DBoxes) and boxes.tensor.shape[1] == 9
        assert len(boxes) == len(result['pts_bbox']['scores_3d']) == len(result['pts_bbox']['labels_3d']) > 0


@VARIANTS
@pytest.mark.parametrize('empty', [[0], [1], [0, 1]])
def test_samples_without_points(empty, dynamic):
    model, batch = build(dynamic=dynamic), make_batch()
    for index in empty:
        batch['points'][index] = torch.zeros(0, 5)
    sum(model(**batch).values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.pts_voxel_encoder.training
    model.eval()
    assert len(model(return_loss=False, points=batch['points'], img_metas=batch['img_metas'])) == 2


def test_a_single_point_in_training():
    model, batch = build(), make_batch(size=1)
    batch['points'] = [torch.zeros(1, 5)]
    assert all(torch.isfinite(value) for value in model(**batch).values())


@VARIANTS
def test_an_empty_sample_does_not_disturb_the_others(dynamic):
    model, batch = build(dynamic=dynamic).eval(), make_batch()
    alone = model.extract_bev(dict(points=batch['points'][:1])).head_map
    batch['points'][1] = torch.zeros(0, 5)
    torch.testing.assert_close(model.extract_bev(batch).head_map[:1], alone)
    swapped = model.extract_bev(dict(points=batch['points'][::-1])).head_map
    torch.testing.assert_close(swapped[1:], alone)


@VARIANTS
def test_points_outside_the_range_are_dropped(dynamic):
    model, batch = build(dynamic=dynamic).eval(), make_batch(size=1)
    inside = model.extract_bev(batch).head_map
    far = torch.tensor([[20.0, 0, 0, 0, 0], [0, -20.0, 0, 0, 0], [0, 0, 9.0, 0, 0], [-12.9, 0, 0, 0, 0]])
    batch['points'] = [torch.cat([far, batch['points'][0]])]
    torch.testing.assert_close(model.extract_bev(batch).head_map, inside)


def test_dynamic_equals_hard_without_overflow():
    """Same weights, no full pillar, and a normalisation that keeps hard pillars' empty slots at zero."""
    hard = toy_centerpoint_cfg(dynamic=False)
    hard['pts_voxel_layer']['max_num_points'] = 200
    hard, cfg = DETECTORS.build(hard).eval(), toy_centerpoint_cfg(dynamic=True)
    cfg['pts_voxel_encoder']['center_dims'] = 3
    dynamic = DETECTORS.build(cfg).eval()
    names = {'linear.weight': '0.weight', 'norm': '1'}
    state = {}
    for name, value in hard.state_dict().items():
        for old, new in names.items():
            name = name.replace(f'pfn_layers.0.{old}', f'pfn_layers.0.{new}')
        state[name] = value
    dynamic.load_state_dict(state)
    for model in (hard, dynamic):
        layer = model.pts_voxel_encoder.pfn_layers[0]
        norm = layer[1] if model is dynamic else layer.norm
        torch.nn.init.constant_(norm.bias, -0.01)
    batch = make_batch()
    for a, b in zip(hard.extract_bev(batch).levels.values(), dynamic.extract_bev(batch).levels.values()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_loss_from_bev_is_forward_train():
    model, batch = build().eval(), make_batch()
    losses, direct = model.loss_from_bev(model.extract_bev(batch), batch), model.forward_train(**batch)
    assert losses.keys() == direct.keys()
    for key, value in losses.items():
        torch.testing.assert_close(value, direct[key])


def test_other_sensors_keys_are_ignored():
    model, batch = build(), make_batch()
    model(**batch, img=torch.zeros(2, 1), gt_depth=torch.zeros(2, 1))


def test_mixed_precision_keeps_points_exact(monkeypatch):
    model, batch = build(), make_batch()
    model.fp16_enabled = True
    seen = []
    monkeypatch.setattr(model, 'forward_train', lambda **kwargs: seen.extend(kwargs['points']))
    model(return_loss=True, **batch)
    assert all(torch.equal(a, b) and a.dtype == torch.float32 for a, b in zip(seen, batch['points']))


def test_missing_points_are_named():
    with pytest.raises(ValueError, match="'points'.*img_metas"):
        build().extract_bev(dict(img_metas=[]))


def test_building_changes_no_config():
    cfg = toy_centerpoint_cfg()
    before = copy.deepcopy(cfg)
    DETECTORS.build(cfg)
    assert cfg == before


def mmdet3d_names(cfg, **replace):
    """Parameter names and shapes of mmdet3d's own CenterPoint for the same sizes."""
    cfg = copy.deepcopy(cfg)
    cfg.pop('type')
    cfg['pts_bbox_head']['type'] = 'CenterHead'
    cfg['pts_voxel_encoder'].update(replace)
    cfg['pts_voxel_encoder'].pop('center_dims', None)
    return {name: value.shape for name, value in CenterPoint(**ConfigDict(cfg)).state_dict().items()}


@VARIANTS
def test_checkpoint_names_are_those_of_mmdet3d(dynamic):
    cfg = toy_centerpoint_cfg(dynamic=dynamic)
    replace = {}
    if dynamic:
        cfg['pts_voxel_encoder']['center_dims'] = 3
        replace = dict(type='DynamicPillarFeatureNet')
    mine = {name: value.shape for name, value in DETECTORS.build(cfg).state_dict().items()}
    assert mine == mmdet3d_names(cfg, **replace)


def change(path, value):
    cfg = toy_centerpoint_cfg()
    node = cfg
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return cfg


@pytest.mark.parametrize(
    'path, value, words',
    [
        (['pts_middle_encoder', 'output_shape'], [64, 32], r'\(64, 32\).*\(64, 64\)'),
        (['pts_voxel_layer', 'max_num_points'], 20, 'DynamicPillarEncoder'),
        (['pts_voxel_encoder', 'point_cloud_range'], [0, 0, 0, 1, 1, 1], 'pts_voxel_encoder'),
        (['pts_voxel_layer', 'voxel_size'], [0.4, 0.4, 4.0], 'one voxel along z'),
        (['pts_bbox_head', 'in_channels'], 47, '47.*48@16x16'),
        (['pts_neck', 'upsample_strides'], [1, 1, 1], 'different sizes'),
        (['pts_bbox_head', 'bbox_coder', 'out_size_factor'], 8, 'bbox_coder'),
        (['train_cfg', 'pts', 'point_cloud_range'], [-25.6, -25.6, -5, 0, 0, 3], 'train_cfg'),
    ],
)
def test_parts_that_do_not_fit_are_one_clear_error(path, value, words):
    with pytest.raises(ValueError, match=words):
        DETECTORS.build(change(path, value))


@pytest.mark.parametrize('variant, inputs', [('dynamic', 10), ('hard', 11)])
def test_full_size_configs(variant, inputs, repo_root):
    cfg = Config.fromfile(str(repo_root / f'configs/centerpoint/centerpoint_pillar02_{variant}_cbgs_20e_nus.py'))
    model = DETECTORS.build(cfg.model)
    assert model.bev_levels() == {
        'backbone0': level(64, 256, 256, cfg.point_cloud_range),
        'backbone1': level(128, 128, 128, cfg.point_cloud_range),
        'backbone2': level(256, 64, 64, cfg.point_cloud_range),
        'head': level(384, 128, 128, cfg.point_cloud_range),
    }
    assert (model.pts_middle_encoder.ny, model.pts_middle_encoder.nx) == (512, 512)
    layer = model.pts_voxel_encoder.pfn_layers[0]
    linear = layer[0] if variant == 'dynamic' else layer.linear
    assert linear.weight.shape == (64, inputs)
    assert list(model.point_cloud_range) == cfg.point_cloud_range
    labels = [name for task in cfg.model.pts_bbox_head.tasks for name in task['class_names']]
    assert labels == cfg.class_names
    assert cfg.runner.max_epochs == 20 and cfg.optimizer.lr == 1e-4 and cfg.optimizer_config.grad_clip.max_norm == 35
