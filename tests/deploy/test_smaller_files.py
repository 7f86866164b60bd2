"""Half weights and eight bits."""

import numpy as np
import onnx
import pytest

from dualdistill_runtime.detector import open_detector
from mmdet3d_plugin.deploy.half_weights import store_half_weights
from mmdet3d_plugin.deploy.quantize import quantize_file
from mmdet3d_plugin.deploy.verify import example_feed, largest_difference


@pytest.fixture
def float_file(bevdepth, tmp_path):
    path = tmp_path / 'student.onnx'
    path.write_bytes(bevdepth[0].read_bytes())
    return path


def answers(path, feed):
    return open_detector(path).model.run(feed)


def test_half_weights_halve_the_file_and_hardly_move_the_answers(float_file):
    feed = example_feed(open_detector(float_file))
    before, size = answers(float_file, feed), float_file.stat().st_size
    assert store_half_weights(float_file, float_file) > 20
    assert float_file.stat().st_size < 0.7 * size
    assert 1e-6 < largest_difference(before, answers(float_file, feed)) < 2e-2


def test_a_weight_too_large_for_half_precision_is_named(float_file):
    model = onnx.load(float_file)
    large = max(model.graph.initializer, key=lambda weight: np.prod(weight.dims))
    large.CopyFrom(onnx.numpy_helper.from_array(np.full(tuple(large.dims), 1e6, np.float32), large.name))
    onnx.save(model, float_file)
    with pytest.raises(ValueError, match=f'{large.name} holds 1e\\+06'):
        store_half_weights(float_file, float_file.with_name('half.onnx'))
    assert list(float_file.parent.iterdir()) == [float_file]


def convolutions(path):
    """Operators of the convolutions of a file, by the part of the detector."""
    found = {}
    for node in onnx.load(path).graph.node:
        if node.op_type in ('Conv', 'ConvInteger') and node.name.count('/') > 2:
            found.setdefault(node.name.split('/')[2], []).append(node.op_type)
    return found


@pytest.fixture
def feeds(float_file):
    detector = open_detector(float_file)
    found = [example_feed(detector, seed=seed) for seed in range(3)]
    return [{name: feed[name] for name in detector.model.input_shapes} for feed in found]


@pytest.mark.parametrize('static', [True, False])
def test_eight_bits_are_near_the_float_file(float_file, feeds, tmp_path, static):
    detector = open_detector(float_file)
    target = tmp_path / 'int8.onnx'
    counts = quantize_file(float_file, target, feeds if static else None)
    before = convolutions(float_file)
    parts = ['img_backbone', 'img_neck', 'img_bev_encoder_backbone', 'img_bev_encoder_neck']
    assert counts == {part: len(before[part]) for part in parts}
    assert target.stat().st_size < 0.7 * float_file.stat().st_size
    assert open_detector(target).model.facts == detector.model.facts
    wanted, found = detector.model.run(feeds[0]), answers(target, feeds[0])
    assert 1e-4 < largest_difference(wanted, found) < 0.1  # 0.037 and less, with these weights


def test_only_the_parts_that_are_named_are_in_eight_bits(float_file, tmp_path):
    before = convolutions(float_file)
    assert quantize_file(float_file, tmp_path / 'int8.onnx', None, ['head']) == {'head': len(before['head'])}
    after = convolutions(tmp_path / 'int8.onnx')
    assert set(after.pop('head')) == {'ConvInteger'}
    before.pop('head')
    assert after == before


def test_a_student_without_bev_encoder_is_quantised_where_it_has_parts(bevformer, tmp_path):
    counts = quantize_file(bevformer[0], tmp_path / 'int8.onnx')
    assert list(counts) == ['img_backbone', 'img_neck'] and min(counts.values()) > 0


def test_a_part_that_is_not_there_is_named(float_file, tmp_path):
    with pytest.raises(ValueError, match='neck9: no convolution of the file.*img_backbone'):
        quantize_file(float_file, tmp_path / 'int8.onnx', None, ['neck9'])


def test_half_weights_are_not_quantised(float_file, tmp_path):
    store_half_weights(float_file, float_file)
    with pytest.raises(ValueError, match='half precision; quantise the float32 file'):
        quantize_file(float_file, tmp_path / 'int8.onnx')
