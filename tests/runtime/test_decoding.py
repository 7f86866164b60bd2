"""Boxes of the runtime are those of the heads: peaks, suppression, queries."""

import numpy as np
import pytest
import torch
from helpers.deploy import query_head
from helpers.toy_models import toy_head_cfg
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models.builder import build_head
from shapely.affinity import rotate
from shapely.geometry import box

from dualdistill_runtime.decoders import decoder_of
from dualdistill_runtime.detections import sigmoid
from dualdistill_runtime.nms import TaskNMS
from dualdistill_runtime.rotated_iou import rotated_iou
from mmdet3d_plugin.deploy.head_graphs import head_graph
from mmdet3d_plugin.models.heads.center_decode import TaskNMS as HouseNMS

KINDS = {'rotate': 0.2, 'circle': 4.0}


def crowd(count, seed=0):
    """Boxes (N, 9) that overlap a lot, logits and labels of two classes."""
    random = np.random.default_rng(seed)
    boxes = random.normal(size=(count, 9)).astype(np.float32)
    boxes[:, :2] *= 5
    boxes[:, 3:6] = random.uniform(0.5, 5, (count, 3))
    boxes[:, 6] = random.uniform(-4, 4, count)
    return boxes, random.normal(size=count).astype(np.float32), random.integers(0, 2, count)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('seed', range(3))
def test_suppression_keeps_what_the_head_keeps(kind, seed):
    settings = (kind, KINDS[kind], [0.7, 1.3], 150, 40)
    boxes, logits, labels = crowd(200, seed)
    wanted = HouseNMS(*settings)(torch.from_numpy(boxes), torch.from_numpy(logits), torch.from_numpy(labels))
    found = TaskNMS(*settings)(boxes, logits, labels)
    assert 10 < len(found) <= 40
    np.testing.assert_array_equal(found, wanted.numpy())


@pytest.mark.parametrize('kind', KINDS)
def test_suppression_of_nothing_is_nothing(kind):
    assert len(TaskNMS(kind, 0.5, [1.0])(np.zeros((0, 9), np.float32), np.zeros(0), np.zeros(0, dtype=int))) == 0


def test_overlaps_are_those_of_polygons():
    random = np.random.default_rng(0)
    first, second = (
        np.concatenate([random.normal(size=(300, 2)), random.uniform(0.3, 4, (300, 3))], 1) for _ in range(2)
    )
    second[:5] = first[:5]  # the same rectangle
    second[5:10, :2] += 100

    def polygon(x, y, length, width, yaw):
        return rotate(box(x - length / 2, y - width / 2, x + length / 2, y + width / 2), yaw, use_radians=True)

    pairs = [(polygon(*a), polygon(*b)) for a, b in zip(first, second)]
    wanted = [a.intersection(b).area / a.union(b).area for a, b in pairs]
    np.testing.assert_allclose(rotated_iou(first, second), wanted, atol=1e-7)
    at_least = rotated_iou(first, second, 0.3)
    np.testing.assert_allclose(at_least[np.array(wanted) >= 0.3], np.array(wanted)[np.array(wanted) >= 0.3], atol=1e-7)


def metas(count):
    return [dict(box_type_3d=LiDARInstance3DBoxes, frame_dt=0.4) for _ in range(count)]


def same(found, wanted):
    assert len(wanted.scores) > 5
    np.testing.assert_array_equal(found.labels, wanted.labels.numpy())
    np.testing.assert_allclose(found.scores, wanted.scores.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.boxes, wanted.boxes.tensor.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('mode', ['displacement', 'velocity'])
@pytest.mark.parametrize('decoded', [False, True])
def test_center_boxes_are_the_heads(mode, decoded):
    cfg = toy_head_cfg(8, velocity_mode=mode)
    cfg['test_cfg'].update(nms_type=['rotate', 'rotate', 'rotate', 'circle', 'rotate', 'circle'], score_threshold=0.2)
    head = build_head(cfg).eval()
    for task_head in head.task_heads:
        torch.nn.init.constant_(task_head.heatmap[-1].bias, -1.0)
    graph, bev = head_graph(head, decoded), torch.randn(2, 8, 16, 16) * 2
    with torch.no_grad():
        wanted = head.decode(head.predict(bev), metas(2))
        outputs = graph(bev, *([torch.tensor([0.4, 0.4])] if graph.inputs else []))
    decode = decoder_of(graph.facts())
    for sample in range(2):
        same(decode({name: value[sample].numpy() for name, value in outputs.items()}, 0.4), wanted[sample])


@pytest.mark.parametrize('decoded', [False, True])
def test_query_boxes_are_the_heads(decoded):
    head = build_head(query_head()).eval()
    graph, bev = head_graph(head, decoded), torch.randn(2, 16, 16, 16)
    with torch.no_grad():
        wanted, outputs = head.decode(head.predict(bev), metas(2)), graph(bev)
    decode = decoder_of(graph.facts())
    for sample in range(2):
        same(decode({name: value[sample].numpy() for name, value in outputs.items()}), wanted[sample])


def test_a_sigmoid_of_large_numbers_is_finite():
    with np.errstate(all='raise'):
        np.testing.assert_allclose(sigmoid(np.array([-80.0, 0.0, 80.0])), [0, 0.5, 1], atol=1e-12)
