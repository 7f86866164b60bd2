"""BEVCenterHead against mmdet3d's CenterHead, plus what it adds: displacement, scale-NMS, no side effects."""

import copy
import math

import pytest
import torch
from helpers.toy_models import TASKS, toy_head_cfg
from mmcv import ConfigDict
from mmdet3d.core import LiDARInstance3DBoxes
from mmdet3d.models.builder import HEADS
from mmdet3d.models.dense_heads import centerpoint_head
from torch import nn

from mmdet3d_plugin.models.heads.center_decode import TaskNMS, build_task_nms, decode_peaks, logit_threshold
from mmdet3d_plugin.models.heads.heatmap_gaussian import draw_gaussians, gaussian_radius
from mmdet3d_plugin.structures import BEVGrid

RECTANGLE = (-6.4, -12.8, -5.0, 6.4, 25.6, 3.0)  # 8 x 24 cells (x, y): mixing up x and y cannot pass
SQUARE = (-12.8, -12.8, -5.0, 12.8, 12.8, 3.0)


def random_boxes(num, pc_range=SQUARE, with_velocity=True):
    low, high = torch.tensor(pc_range[:3]), torch.tensor(pc_range[3:])
    centre = low + (high - low) * torch.rand(num, 3) * 1.2 - 1.0  # some outside
    size = torch.rand(num, 3) * torch.tensor([6.0, 3.0, 2.0]) + 0.3
    yaw = (torch.rand(num, 1) - 0.5) * 2 * math.pi
    parts = [centre, size, yaw] + ([torch.randn(num, 2) * 3] if with_velocity else [])
    tensor = torch.cat(parts, dim=1)
    return LiDARInstance3DBoxes(tensor, tensor.shape[1])


def batch_of(counts, pc_range=SQUARE):
    boxes = [random_boxes(count, pc_range) for count in counts]
    return boxes, [torch.randint(0, 10, (count,)) for count in counts]


def empty_boxes():
    return LiDARInstance3DBoxes(torch.zeros(0, 9), 9)


def both_heads(in_channels=8, **kwargs):
    """Ours and mmdet3d's with the same weights."""
    cfg = toy_head_cfg(in_channels, **kwargs)
    ours = HEADS.build(copy.deepcopy(cfg))
    cfg['type'] = 'CenterHead'
    cfg['train_cfg'], cfg['test_cfg'] = ConfigDict(cfg['train_cfg']), ConfigDict(cfg['test_cfg'])
    theirs = HEADS.build(copy.deepcopy(cfg))
    for task_head in ours.task_heads:
        nn.init.constant_(task_head.dim[-1].bias, 1.1)  # 3 m boxes on 1.6 m cells: suppression has work to do
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def metas(count, **extra):
    return [dict(box_type_3d=LiDARInstance3DBoxes, **extra) for _ in range(count)]


def perfect_predictions(head, boxes, labels, img_metas=None, peak=8.0):
    """The maps an ideal network would give: sharp peaks and the regression targets at the object cells."""
    heatmaps, codes, indices, masks = head.get_targets(boxes, labels, img_metas)
    predictions = []
    for heatmap, code, index, mask in zip(heatmaps, codes, indices, masks):
        batch, _, height, width = heatmap.shape
        flat = torch.zeros(batch, code.shape[2], height * width)
        for sample in range(batch):
            flat[sample, :, index[sample, mask[sample]]] = code[sample, mask[sample]].T
        maps = flat.view(batch, -1, height, width)
        logits = torch.where(heatmap == 1, peak, -peak)
        keys = dict(reg=slice(0, 2), height=slice(2, 3), dim=slice(3, 6), rot=slice(6, 8), vel=slice(8, 10))
        predictions.append([dict(heatmap=logits, **{key: maps[:, part].clone() for key, part in keys.items()})])
    return tuple(predictions)


def spread_boxes():
    """Well separated boxes, one per class, none sharing a cell or suppressing another."""
    rows = []
    for label in range(10):
        x, y = -10.3 + 5.1 * (label % 5), -6.2 + 9.7 * (label // 5)
        rows.append(
            [x, y, -1.0 + 0.1 * label, 1.5 + 0.2 * label, 0.9, 1.4, 0.5 * label - 2.2, 0.7 * label - 3, 0.3 * label]
        )
    return LiDARInstance3DBoxes(torch.tensor(rows), 9), torch.arange(10)


@pytest.mark.parametrize('pc_range', [SQUARE, RECTANGLE])
@pytest.mark.parametrize('counts', [(7, 30), (0, 5), (0, 0)])
def test_targets_equal_mmdet3d(pc_range, counts):
    ours, theirs = both_heads(range=pc_range)
    boxes, labels = batch_of(counts, pc_range)
    boxes = [box if len(box.tensor) else empty_boxes() for box in boxes]
    mine, reference = ours.get_targets(boxes, labels), theirs.get_targets(boxes, labels)
    for name, a_tasks, b_tasks in zip(('heatmaps', 'boxes', 'indices', 'masks'), mine, reference):
        for task, (a, b) in enumerate(zip(a_tasks, b_tasks)):
            assert a.shape == b.shape, (name, task)
            torch.testing.assert_close(a, b.to(a.dtype), msg=f'{name} of task {task}', rtol=1e-6, atol=1e-6)


def test_targets_equal_mmdet3d_when_slots_run_out():
    cfg = toy_head_cfg(8)
    cfg['train_cfg']['max_objs'] = 4
    ours, theirs = both_heads(train_cfg=cfg['train_cfg'])
    boxes, labels = batch_of((60, 3))
    mine, reference = ours.get_targets(boxes, labels), theirs.get_targets(boxes, labels)
    for a_tasks, b_tasks in zip(mine, reference):
        for a, b in zip(a_tasks, b_tasks):
            torch.testing.assert_close(a, b.to(a.dtype), rtol=1e-6, atol=1e-6)


def test_targets_leave_out_unusable_boxes():
    head, _ = both_heads()
    rows = torch.tensor([[1.0, 2, 0, 4, 2, 1.5, 0, 0, 0]]).repeat(5, 1)
    rows[1, 3] = 0.0
    rows[2, 4] = math.inf
    rows[3, 0] = math.nan
    labels = torch.tensor([0, 0, 0, 0, -1])
    _, _, _, masks = head.get_targets([LiDARInstance3DBoxes(rows, 9)], [labels])
    assert [int(mask.sum()) for mask in masks] == [1, 0, 0, 0, 0, 0]


def test_heatmap_targets_are_the_targets_heatmaps():
    head, _ = both_heads()
    boxes, labels = batch_of((6, 4))
    for a, b in zip(head.heatmap_targets(boxes, labels), head.get_targets(boxes, labels)[0]):
        assert torch.equal(a, b)


def test_huge_boxes_do_not_take_memory():
    head, _ = both_heads()
    rows = torch.tensor([[0.0, 0, 0, 1e6, 1e6, 1, 0, 0, 0]])
    heatmap = head.heatmap_targets([LiDARInstance3DBoxes(rows, 9)], [torch.tensor([0])])[0]
    assert heatmap.max() == 1 and heatmap.min() > 0


def test_gaussian_radius_hand_computed():
    # 4 x 2 cells, overlap 0.1: perimeter term 6, area 8
    cases = [
        (6 + math.sqrt(36 - 4 * 8 * 0.9 / 1.1)) / 2,
        (12 + math.sqrt(144 - 16 * 7.2)) / 2,
        (-1.2 + math.sqrt(1.44 + 1.6 * 7.2)) / 2,
    ]
    radius = gaussian_radius(torch.tensor([4.0]), torch.tensor([2.0]), 0.1)
    assert radius.item() == pytest.approx(min(cases), rel=1e-6)


def test_draw_gaussians_hand_computed():
    one = torch.tensor
    maps = draw_gaussians(2, 4, 5, one([1, 1]), one([0, 1]), one([0, 3]), one([1, 1]))
    sigma = 0.5
    assert maps.shape == (2, 4, 5) and maps[0].abs().sum() == 0
    assert maps[1, 0, 0] == 1 and maps[1, 3, 1] == 1
    assert maps[1, 0, 1].item() == pytest.approx(math.exp(-1 / (2 * sigma**2)))
    assert maps[1, 1, 1].item() == pytest.approx(math.exp(-2 / (2 * sigma**2)))
    assert maps[1, 2, 1].item() == pytest.approx(math.exp(-1 / (2 * sigma**2)))
    assert maps[1, 0, 2] == 0


def test_loss_equals_mmdet3d_and_changes_nothing():
    ours, theirs = both_heads()
    boxes, labels = batch_of((9, 3))
    feats = torch.randn(2, 8, 16, 16)
    predictions = ours([feats])
    kept = copy.deepcopy([[{k: v.detach() for k, v in task[0].items()}] for task in predictions])
    mine = ours.loss(predictions, boxes, labels)
    for task, before in zip(predictions, kept):
        assert set(task[0]) == set(before[0])
        for key, value in before[0].items():
            assert torch.equal(task[0][key], value)
    reference = theirs.loss(boxes, labels, theirs([feats]))
    assert mine.keys() == reference.keys() and len(mine) == 12
    for key, value in reference.items():
        torch.testing.assert_close(mine[key], value, rtol=1e-5, atol=1e-6)


def test_loss_gradients_equal_mmdet3d():
    ours, theirs = both_heads()
    boxes, labels = batch_of((9, 3))
    feats = torch.randn(2, 8, 16, 16)
    sum(ours.loss(ours([feats]), boxes, labels).values()).backward()
    sum(theirs.loss(boxes, labels, theirs([feats])).values()).backward()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters()):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_loss_without_objects_is_finite_and_trains():
    head, _ = both_heads()
    losses = head.loss(head([torch.randn(1, 8, 16, 16)]), [empty_boxes()], [torch.zeros(0, dtype=torch.long)])
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(losses[f'task{i}.loss_bbox'] == 0 for i in range(6))
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


def test_loss_is_computed_in_float32():
    head, _ = both_heads()
    boxes, labels = batch_of((4,))
    feats = torch.randn(1, 8, 16, 16)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        predictions = head([feats])
        assert predictions[0][0]['heatmap'].dtype == torch.bfloat16
        losses = head.loss(predictions, boxes, labels)
    assert all(value.dtype == torch.float32 for value in losses.values())


def test_unlabelled_velocity_is_left_out():
    head, _ = both_heads()
    boxes, labels = batch_of((5,))
    boxes[0].tensor[:, :2] = torch.arange(10.0).view(5, 2)  # inside the map
    predictions = head([torch.randn(1, 8, 16, 16)])
    without = copy.deepcopy(boxes)
    boxes[0].tensor[:, 7:] = math.nan
    losses = head.loss(predictions, boxes, labels)
    head.train_cfg['code_weights'] = [1.0] * 8 + [0.0] * 2
    expected = head.loss(predictions, without, labels)
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value)


def test_loss_weight_scales_the_box_loss():
    boxes, labels = batch_of((5,))
    small, _ = both_heads()
    double, _ = both_heads(loss_bbox=dict(type='L1Loss', reduction='mean', loss_weight=0.5))
    predictions = small([torch.randn(1, 8, 16, 16)])
    a, b = small.loss(predictions, boxes, labels), double.loss(predictions, boxes, labels)
    for task in range(6):
        torch.testing.assert_close(2 * a[f'task{task}.loss_bbox'], b[f'task{task}.loss_bbox'])
        torch.testing.assert_close(a[f'task{task}.loss_heatmap'], b[f'task{task}.loss_heatmap'])


@pytest.mark.parametrize('nms_type', ['rotate', 'circle'])
@pytest.mark.parametrize('pc_range', [SQUARE, RECTANGLE])
def test_detections_equal_mmdet3d(nms_type, pc_range, monkeypatch):
    compile_free = centerpoint_head.circle_nms.py_func  # seconds of compilation for a millisecond of work
    monkeypatch.setattr(centerpoint_head, 'circle_nms', compile_free)
    cfg = toy_head_cfg(8, range=pc_range)
    ours, theirs = both_heads(range=pc_range, test_cfg=dict(cfg['test_cfg'], nms_type=nms_type))
    width, height = (round((pc_range[axis + 3] - pc_range[axis]) / 1.6) for axis in (0, 1))
    feats = 3 * torch.randn(2, 8, height, width)
    predictions = ours([feats])
    for mine, reference in zip(ours.get_bboxes(predictions, metas(2)), theirs.get_bboxes(predictions, metas(2))):
        assert 20 < len(mine[1]) < 400  # all 6 x 83 would mean that nothing was suppressed
        torch.testing.assert_close(mine[0].tensor, reference[0].tensor, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(mine[1], reference[1])
        assert torch.equal(mine[2], reference[2].long())


@pytest.mark.parametrize('mode', ['velocity', 'displacement'])
def test_targets_decode_back_to_the_boxes(mode):
    head, _ = both_heads()
    head = HEADS.build(toy_head_cfg(8, velocity_mode=mode))
    box, label = spread_boxes()
    img_metas = [dict(box_type_3d=LiDARInstance3DBoxes, frame_dt=dt) for dt in (0.5, 1 / 12)]
    predictions = perfect_predictions(head, [box, box], [label, label], img_metas)
    for boxes, scores, labels in head.decode(predictions, img_metas):
        order = labels.argsort()
        assert labels[order].tolist() == list(range(10)) and scores.min() > 0.99
        torch.testing.assert_close(boxes.tensor[order], box.tensor, rtol=1e-5, atol=2e-5)


def test_displacement_is_velocity_times_time():
    head = HEADS.build(toy_head_cfg(8, velocity_mode='displacement'))
    box, label = spread_boxes()
    times = [dict(frame_dt=0.5), dict(frame_dt=0.25)]
    boxes = head.get_targets([box, box], [label, label], times)[1][0]
    expected = torch.stack([box.tensor[0, 7:] * 0.5, box.tensor[0, 7:] * 0.25])
    torch.testing.assert_close(boxes[:, 0, 8:10], expected)


@pytest.mark.parametrize('img_metas', [None, [dict()], [dict(frame_dt=0.0)], [dict(frame_dt=0.5)] * 2])
def test_displacement_needs_frame_times(img_metas):
    head = HEADS.build(toy_head_cfg(8, velocity_mode='displacement'))
    boxes, labels = batch_of((3,))
    with pytest.raises(ValueError, match='frame_dt'):
        head.loss(head([torch.randn(1, 8, 16, 16)]), boxes, labels, img_metas)


def test_temperature_sharpens_scores():
    head, _ = both_heads()
    box, label = spread_boxes()
    predictions = perfect_predictions(head, [box], [label])
    logit = math.log(0.46 / 0.54)
    for (task,) in predictions:
        task['heatmap'] = torch.where(task['heatmap'] > 0, logit, -9.0)
    plain = head.decode(predictions, metas(1))[0]
    sharp = head.decode(predictions, metas(1), score_threshold=0.1, temperature=0.1)[0]
    assert torch.allclose(plain[1], torch.tensor(0.46), atol=1e-5)
    assert len(sharp[1]) == 10
    assert torch.allclose(sharp[1], torch.tensor(logit / 0.1).sigmoid(), atol=1e-5)
    for (task,) in predictions:  # 0.44 falls below 0.1 once sharpened
        task['heatmap'] = torch.where(task['heatmap'] > -1, math.log(0.44 / 0.56), -9.0)
    assert len(head.decode(predictions, metas(1), score_threshold=0.1, temperature=0.1)[0][1]) == 0
    assert len(head.decode(predictions, metas(1), score_threshold=0.43)[0][1]) == 10


@pytest.mark.parametrize('peak_col', [8, 9, 10])
def test_sharpened_scores_keep_the_order_of_the_peaks(peak_col):
    """Scores of logits 3 and 2 are both exactly 1 at temperature 0.1; the box must be the peak cell's."""
    head, _ = both_heads()
    preds = [{key: torch.zeros(1, size, 16, 16) for key, size in dict(reg=2, height=1, rot=2, vel=2).items()}]
    preds[0].update(dim=torch.full((1, 3, 16, 16), math.log(8.0)), heatmap=torch.full((1, 1, 16, 16), -6.0))
    preds[0]['reg'] += 0.5
    preds[0]['heatmap'][0, 0, 4:6, 8:11] = 2.0
    preds[0]['heatmap'][0, 0, 5, peak_col] = 3.0
    assert (torch.tensor([2.0, 3.0]) / 0.1).sigmoid().eq(1).all()
    boxes, scores, _ = head.decode((preds,), metas(1), score_threshold=0.1, temperature=0.1)[0]
    assert scores.tolist() == [1.0]
    centre = [-12.8 + 1.6 * (peak_col + 0.5), -12.8 + 1.6 * 5.5]
    assert boxes.tensor[0, :2].tolist() == pytest.approx(centre, abs=1e-4)


def test_top_cells_are_taken_by_logit():
    head = HEADS.build(toy_head_cfg(8, bbox_coder=dict(toy_head_cfg(8)['bbox_coder'], max_num=1)))
    preds = [{key: torch.zeros(1, size, 16, 16) for key, size in dict(reg=2, height=1, dim=3, rot=2, vel=2).items()}]
    preds[0]['heatmap'] = torch.full((1, 1, 16, 16), 4.0)
    preds[0]['heatmap'][0, 0, 15, 14] = 5.0
    boxes, _, _ = head.decode((preds,), metas(1), temperature=0.1)[0]
    assert boxes.tensor[:, :2].tolist() == [pytest.approx([-12.8 + 1.6 * 14, -12.8 + 1.6 * 15], abs=1e-4)]


def test_logit_threshold():
    assert logit_threshold(0.1) == pytest.approx(-math.log(9))
    assert logit_threshold(0.1, 0.1) == pytest.approx(math.log(0.4453 / 0.5547), abs=1e-4)
    assert logit_threshold(0.0) == -math.inf and logit_threshold(1.0, 0.1) == math.inf


def test_decode_survives_no_detections_and_small_maps():
    head, _ = both_heads()  # max_num 100 on a 2 x 2 map
    predictions = head([torch.randn(1, 8, 2, 2)])
    assert len(head.decode(predictions, metas(1), score_threshold=0.0)[0][1]) <= 40
    boxes, scores, labels = head.decode(predictions, metas(1), score_threshold=1.0)[0]
    assert boxes.tensor.shape == (0, 9) and scores.shape == (0,) and labels.dtype == torch.int64


def polygon_iou(a, b):
    """IoU of two rotated rectangles by counting a fine grid of points."""
    axis = torch.linspace(-4, 4, 801, dtype=torch.float64)
    ys, xs = torch.meshgrid(axis, axis, indexing='ij')

    def covers(box):
        x, y, length, width, yaw = (float(value) for value in box)
        along = (xs - x) * math.cos(yaw) + (ys - y) * math.sin(yaw)
        across = -(xs - x) * math.sin(yaw) + (ys - y) * math.cos(yaw)
        return (along.abs() <= length / 2) & (across.abs() <= width / 2)

    one, two = covers(a), covers(b)
    return ((one & two).sum() / (one | two).sum()).item()


def test_rotate_nms_turns_counter_clockwise_and_takes_length_along_yaw():
    first = [0.0, 0, 0, 4, 1, 1, 0.5]
    for second in ([1.0, 0.6, 0, 4, 1, 1, 0.4], [0.9, -0.9, 0, 3, 1, 1, -0.4], [-1.0, -0.5, 0, 1, 3, 1, 0.6]):
        iou = polygon_iou([first[i] for i in (0, 1, 3, 4, 6)], [second[i] for i in (0, 1, 3, 4, 6)])
        assert iou > 0.05
        boxes, scores, labels = (
            torch.tensor([first, second]),
            torch.tensor([0.9, 0.8]),
            torch.zeros(2, dtype=torch.long),
        )
        assert TaskNMS('rotate', iou - 0.01, [1.0])(boxes, scores, labels).tolist() == [0]
        assert TaskNMS('rotate', iou + 0.01, [1.0])(boxes, scores, labels).tolist() == [0, 1]


def test_scale_nms_scales_the_class_for_the_iou_only():
    boxes = torch.tensor([[0.0, 0, 0, 0.5, 0.5, 1, 0], [1.0, 0, 0, 0.5, 0.5, 1, 0]])
    before, scores = boxes.clone(), torch.tensor([0.8, 0.9])
    apart = TaskNMS('rotate', 0.2, [1.0, 1.0])(boxes, scores, torch.tensor([1, 1]))
    together = TaskNMS('rotate', 0.2, [1.0, 4.5])(boxes, scores, torch.tensor([1, 1]))
    other_class = TaskNMS('rotate', 0.2, [4.5, 1.0])(boxes, scores, torch.tensor([1, 1]))
    assert apart.tolist() == [1, 0] and together.tolist() == [1] and other_class.tolist() == [1, 0]
    assert torch.equal(boxes, before)


def test_circle_nms_takes_the_radius_itself_as_near():
    """As mmdet3d's circle_nms, which lets a box go whose squared distance is at most the threshold."""
    boxes = torch.zeros(3, 7)
    boxes[:, 0] = torch.tensor([0.0, 2.0, 4.5])  # squared distances 4 and 6.25
    scores, labels = torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.long)
    assert TaskNMS('circle', 4.0, [1.0])(boxes, scores, labels).tolist() == [0, 2]
    assert TaskNMS('circle', 3.99, [1.0])(boxes, scores, labels).tolist() == [0, 1, 2]


def test_circle_nms_compares_squared_distance():
    boxes = torch.zeros(3, 7)
    boxes[:, 0] = torch.tensor([0.0, 1.9, 2.1])
    scores, labels = torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.long)
    assert TaskNMS('circle', 4.0, [1.0])(boxes, scores, labels).tolist() == [0, 2]
    assert TaskNMS('circle', 4.0, [1.0], post_max_size=1)(boxes, scores, labels).tolist() == [0]


def test_nms_size_limits():
    boxes = torch.zeros(4, 7)
    boxes[:, 0], boxes[:, 3:6] = torch.arange(4) * 10.0, 1.0
    scores, labels = torch.tensor([0.1, 0.4, 0.3, 0.2]), torch.zeros(4, dtype=torch.long)
    assert TaskNMS('rotate', 0.2, [1.0], pre_max_size=3)(boxes, scores, labels).tolist() == [1, 2, 3]
    assert TaskNMS('rotate', 0.2, [1.0], post_max_size=2)(boxes, scores, labels).tolist() == [1, 2]
    assert TaskNMS('rotate', 0.2, [1.0])(boxes[:0], scores[:0], labels[:0]).tolist() == []


def test_student_nms_settings():
    settings = dict(
        nms_type=['rotate', 'rotate', 'rotate', 'circle', 'rotate', 'rotate'],
        nms_thr=[0.2, 0.2, 0.2, 0.2, 0.2, 0.5],
        nms_rescale_factor=[1.0, [0.7, 0.7], [0.4, 0.55], 1.1, [1.0, 1.0], [4.5, 9.0]],
        min_radius=[4, 12, 10, 1, 0.85, 0.175],
        post_max_size=83,
    )
    names = [task['class_names'] for task in TASKS]
    tasks = build_task_nms(settings, names)
    assert [task.kind for task in tasks] == settings['nms_type']
    assert [task.threshold for task in tasks] == [0.2, 0.2, 0.2, 1.0, 0.2, 0.5]
    assert [task.factors for task in tasks] == [[1.0], [0.7, 0.7], [0.4, 0.55], [1.1], [1.0, 1.0], [4.5, 9.0]]
    assert {task.post_max_size for task in tasks} == {83}
    for key, value in (
        ('nms_type', 'soft'),
        ('nms_thr', [0.2]),
        ('nms_rescale_factor', [[1.0, 2.0]] * 6),
        ('extra', 1),
    ):
        with pytest.raises(ValueError, match=key):
            build_task_nms(dict(settings, **{key: value}), names)
    with pytest.raises(ValueError, match='min_radius'):
        build_task_nms(dict(nms_type='circle'), names)


def test_decode_takes_other_nms_settings():
    head, _ = both_heads()
    predictions = head([3 * torch.randn(1, 8, 16, 16)])
    default, loose = (
        head.decode(predictions, metas(1))[0],
        head.decode(predictions, metas(1), nms=dict(nms_thr=0.99))[0],
    )
    assert len(loose[1]) > len(default[1])
    assert head.test_cfg['nms_thr'] == 0.2


def test_decode_hand_computed_cell():
    head, _ = both_heads(range=RECTANGLE)
    maps = {name: torch.zeros(1, size, 24, 8) for name, size in dict(reg=2, height=1, dim=3, rot=2, vel=2).items()}
    logits = torch.full((1, 2, 24, 8), -3.0)
    logits[0, 1, 20, 3] = 0.7
    maps['reg'][0, :, 20, 3] = torch.tensor([0.25, 0.5])
    maps['rot'][0, :, 20, 3] = torch.tensor([1.0, 0.0])
    ((boxes, out_logits, labels),) = decode_peaks(logits, maps, head.bbox_coder, True, -2.2)
    expected = [-6.4 + 3.25 * 1.6, -12.8 + 20.5 * 1.6, 0, 1, 1, 1, math.pi / 2, 0, 0]
    torch.testing.assert_close(boxes, torch.tensor([expected]))
    assert out_logits.tolist() == pytest.approx([0.7]) and labels.tolist() == [1]


def test_building_changes_no_config():
    cfg = toy_head_cfg(8)
    before = copy.deepcopy(cfg)
    head = HEADS.build(cfg)
    assert cfg == before
    head.decode(head([torch.randn(1, 8, 16, 16)]), metas(1))
    assert cfg == before


def test_heatmaps_start_low():
    head = HEADS.build(toy_head_cfg(8))
    head.init_weights()
    for task in head.task_heads:
        assert torch.all(task.heatmap[-1].bias == -2.19)


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(velocity_mode='speed'), 'speed'),
        (
            dict(velocity_mode='displacement', common_heads=dict(reg=(2, 2), height=(1, 2), dim=(3, 2), rot=(2, 2))),
            'vel',
        ),
        (dict(train_cfg=dict(grid_size=[64, 64, 1])), 'missing'),
        (dict(train_cfg=dict(toy_head_cfg(8)['train_cfg'], grid_size=[64, 60, 1])), 'along y'),
        (dict(train_cfg=dict(toy_head_cfg(8)['train_cfg'], code_weights=[1.0])), 'code_weights'),
        (dict(train_cfg=dict(toy_head_cfg(8)['train_cfg'], assigner=1)), 'assigner'),
        (dict(bbox_coder=dict(toy_head_cfg(8)['bbox_coder'], pc_range=[0, -12.8])), 'in train_cfg but.*in bbox_coder'),
        (dict(test_cfg=dict(toy_head_cfg(8)['test_cfg'], max_pool_nms=False)), 'max_pool_nms'),
    ],
)
def test_wrong_config_is_named(change, words):
    with pytest.raises(Exception, match=words) as caught:
        HEADS.build(toy_head_cfg(8, **change))
    assert 'ValueError' in caught.exconly() or 'BEVCenterHead' in caught.exconly()


def test_boxes_without_velocity_are_named():
    head, _ = both_heads()
    with pytest.raises(ValueError, match='7 columns'):
        head.heatmap_targets([random_boxes(2, with_velocity=False)], [torch.tensor([0, 1])])


def test_head_without_settings_says_so():
    head = HEADS.build(toy_head_cfg(8, train_cfg=None, test_cfg=None))
    predictions = head([torch.randn(1, 8, 16, 16)])
    with pytest.raises(ValueError, match='train_cfg'):
        head.loss(predictions, *batch_of((2,)))
    with pytest.raises(ValueError, match='test_cfg'):
        head.decode(predictions, metas(1))


def test_confidence_is_the_best_class_of_all_tasks():
    """A peak of any task counts, in the predictions and in the targets; where no task fires it is low."""
    head, _ = both_heads()
    size = head.confidence_grid.size
    logits = [torch.full((1, count, *size), -3.0) for count in head.num_classes]
    for task, maps in enumerate(logits):
        maps[0, -1, 2, 2 * task] = float(task)  # a cell of its own for each task
    confidence = head.confidence([[dict(heatmap=maps)] for maps in logits], head.confidence_grid)
    assert confidence.shape == (1, *size)
    for task in range(len(logits)):
        assert confidence[0, 2, 2 * task] == torch.tensor(float(task)).sigmoid()
    assert (confidence > torch.tensor(-3.0).sigmoid() + 1e-6).sum() == len(logits)

    boxes, labels = batch_of((6,))
    first_of_task = torch.tensor(head.num_classes).cumsum(0) - 1
    wanted = head.target_confidence(boxes, [first_of_task[:6]], head.confidence_grid)
    one_by_one = [
        head.target_confidence([boxes[0][index]], [first_of_task[index : index + 1]], head.confidence_grid)
        for index in range(6)
    ]
    torch.testing.assert_close(wanted, torch.stack(one_by_one).amax(dim=0))
    assert sum(bool(single.max() == 1) for single in one_by_one) >= 4  # boxes inside the map, in several tasks
    with pytest.raises(ValueError, match='heatmaps are .* cells, the level has'):
        head.target_confidence(boxes, labels, BEVGrid(-1, -1, 1, 1, 3, 3))
