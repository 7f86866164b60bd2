"""LidarFormer and MVPFormer: level sizes, empty samples, what extract_bev runs, build-time checks, learning."""

import copy

import pytest
import torch
from helpers.toy_models import toy_lidarformer_cfg
from mmdet3d.core import LiDARInstance3DBoxes
from mmdet3d.models.builder import DETECTORS

RECTANGLE = (-6.4, -12.8, -5.0, 6.4, 25.6, 3.0)  # 32 voxels along x, 96 along y
VARIANTS = pytest.mark.parametrize('virtual', [False, True], ids=['lidarformer', 'mvpformer'])


def build(**kwargs):
    torch.manual_seed(0)
    return DETECTORS.build(toy_lidarformer_cfg(**kwargs))


def cloud(count=400, virtual=False):
    points = torch.cat([(torch.rand(count, 2) - 0.5) * 24, torch.rand(count, 1) * 3 - 2, torch.rand(count, 2)], dim=1)
    if virtual:
        flags = torch.randint(-1, 2, (count, 1)).float()
        points = torch.cat([points[:, :4], torch.rand(count, 11), flags, points[:, 4:]], dim=1)
    return points


def make_batch(size=2, virtual=False):
    torch.manual_seed(1)
    boxes, labels, points = [], [], []
    for _ in range(size):
        rows = torch.zeros(3, 9)
        rows[:, :2] = (torch.rand(3, 2) - 0.5) * 20
        rows[:, 2], rows[:, 3:6], rows[:, 6] = -1.5, torch.tensor([4.0, 2.0, 1.6]), torch.rand(3)
        boxes.append(LiDARInstance3DBoxes(rows, 9))
        labels.append(torch.tensor([0, 1, 8]))
        points.append(cloud(virtual=virtual))
        points[-1][:120, :2] = rows[:, :2].repeat(40, 1) + torch.randn(120, 2) * 0.5
    metas = [dict(box_type_3d=LiDARInstance3DBoxes) for _ in range(size)]
    return dict(points=points, gt_bboxes_3d=boxes, gt_labels_3d=labels, img_metas=metas)


@VARIANTS
@pytest.mark.parametrize('range', [(-12.8, -12.8, -5.0, 12.8, 12.8, 3.0), RECTANGLE])
def test_planned_levels_are_the_real_ones(range, virtual):
    model = build(range=range, virtual=virtual).eval()
    bev = model.extract_bev(make_batch(virtual=virtual))
    levels = model.bev_levels()
    assert list(levels) == ['backbone0', 'backbone1', 'bev'] == list(bev.levels)
    for name, planned in levels.items():
        assert bev.level(name).shape[1:] == planned.shape, name
    assert bev.head_input == 'bev' and levels['bev'].grid.extent == (*range[:2], *range[3:5])
    assert model.inputs == {'points'} and model.point_cloud_range == range


def test_rows_are_y_and_columns_are_x():
    model = build(range=RECTANGLE).eval()
    canvas = model._canvas([torch.tensor([[-6.3, 25.5, 0, 0, 0.0]]).expand(9, 5)])[0].abs().sum(0)
    assert canvas.shape == (24, 8)
    assert canvas.nonzero().tolist() == [[23, 0]]


def test_extract_bev_does_not_run_the_head(monkeypatch):
    model = build().eval()
    monkeypatch.setattr(model.head, 'predict', None)
    assert model.extract_bev(dict(points=[cloud()])).head_map.shape == (1, 16, 16, 16)


@VARIANTS
def test_a_few_steps_reduce_the_loss(virtual):
    model = build(virtual=virtual)
    model.init_weights()
    batch, totals = make_batch(virtual=virtual), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(12):
        losses = model(return_loss=True, **batch)
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert len(losses) == 12 and totals[-1] < 0.6 * totals[0]
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    detections = model(return_loss=False, points=batch['points'], img_metas=batch['img_metas'])
    assert len(detections) == 2 and set(detections[0]['pts_bbox']) == {'boxes_3d', 'scores_3d', 'labels_3d'}


@VARIANTS
@pytest.mark.parametrize('empty', [(0,), (2,), (0, 1, 2)], ids=str)
def test_samples_without_points(virtual, empty):
    model, batch = build(virtual=virtual), make_batch(3, virtual)
    for sample in empty:
        batch['points'][sample] = batch['points'][sample][:0]
    losses = model(return_loss=True, **batch)
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    for sample in empty:
        alone = model.extract_bev(dict(points=[batch['points'][sample]])).head_map[0]
        torch.testing.assert_close(model.extract_bev(batch).head_map[sample], alone)


@VARIANTS
def test_each_sample_as_if_alone(virtual):
    model, batch = build(virtual=virtual).eval(), make_batch(3, virtual)
    together = model.extract_bev(batch).head_map
    for sample in range(3):
        alone = model.extract_bev(dict(points=batch['points'][sample : sample + 1])).head_map
        torch.testing.assert_close(together[sample], alone[0])


def test_parameters_have_published_names():
    names = [name for name, _ in build().named_parameters()]
    prefixes = ['pts_middle_encoder', 'pts_backbone', 'pts_neck', 'bev_encoder', 'pts_bbox_head']
    assert list(dict.fromkeys(name.split('.')[0] for name in names)) == prefixes
    assert {'bev_encoder.bev_embedding.weight', 'bev_encoder.layers.1.attentions.0.value_proj.weight'} <= set(names)


def test_meaning_and_config():
    cfg = toy_lidarformer_cfg()
    before = copy.deepcopy(cfg)
    meaning = DETECTORS.build(cfg).meaning()
    assert cfg == before
    assert meaning['voxel_size'] == [0.4, 0.4, 0.5] and meaning['point_cloud_range'][3:] == [12.8, 12.8, 3.0]
    assert len(meaning['tasks']) == 6 and 'virtual_time' not in meaning
    assert build(virtual=True).meaning()['virtual_time'] == 'flag'


@pytest.mark.parametrize(
    'part, change, message',
    [
        ('pts_middle_encoder', dict(sparse_shape=[17, 64, 60]), r'sparse_shape is \(17, 64, 60\) .* \(16, 64, 64\) v'),
        ('pts_middle_encoder', dict(sparse_shape=[15, 64, 64]), r'sparse_shape is \(15, 64, 64\) .* z may be larger'),
        ('pts_voxel_encoder', dict(type='VirtualVoxelEncoder'), 'max_num_points=10 but .* is VirtualVoxelEncoder'),
        ('pts_backbone', dict(in_channels=16), 'in_channels is 16 but pts_middle_encoder makes a map of 8 channels'),
        ('pts_neck', dict(in_channels=[16, 8]), r'in_channels is \[16, 8\] but the stages have \[16, 16\] channels'),
        ('pts_neck', dict(num_outs=2), r'gives 2 map\(s\) of 16 channels but bev_encoder takes 3 of 16'),
        ('bev_encoder', dict(bev_size=[8, 8]), 'the head draws targets on 16x16 cells'),
        ('train_cfg', dict(rpn=None), "train_cfg: unknown section 'rpn'"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_one_clear_error(part, change, message):
    cfg = toy_lidarformer_cfg()
    if part == 'pts_voxel_encoder':
        cfg[part] = change
    else:
        cfg[part].update(change)
    with pytest.raises(ValueError, match=message):
        DETECTORS.build(cfg)


def test_a_batch_without_points_is_named():
    with pytest.raises(ValueError, match="LidarFormer needs 'points' in the batch; it has"):
        build().extract_bev(dict(img=None))
