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
    assert store_half_weights(float_file) > 20
    assert float_file.stat().st_size < 0.7 * size
    assert 1e-6 < largest_difference(before, answers(float_file, feed)) < 2e-2


def test_a_weight_too_large_for_half_precision_is_named(float_file):
    model = onnx.load(float_file)
    large = max(model.graph.initializer, key=lambda weight: np.prod(weight.dims))
    large.CopyFrom(onnx.numpy_helper.from_array(np.full(tuple(large.dims), 1e6, np.float32), large.name))
    onnx.save(model, float_file)
    with pytest.raises(ValueError, match=f'{large.name} holds 1e\\+06'):
        store_half_weights(float_file)


@pytest.mark.parametrize('static', [True, False])
def test_eight_bits_are_in_the_backbone_alone_and_close(float_file, tmp_path, static):
    detector = open_detector(float_file)
    feeds = [example_feed(detector, seed=seed) for seed in range(3)]
    feeds = [{name: feed[name] for name in detector.model.input_shapes} for feed in feeds]
    target = tmp_path / 'int8.onnx'
    count = quantize_file(float_file, target, feeds if static else None)
    model = onnx.load(target)
    assert count == sum(
        node.op_type == 'Conv' and '/img_backbone/' in node.name for node in onnx.load(float_file).graph.node
    )
    assert target.stat().st_size < float_file.stat().st_size
    eight_bit = [weight for weight in model.graph.initializer if weight.data_type == onnx.TensorProto.INT8]
    assert len(eight_bit) >= count
    assert open_detector(target).model.facts == detector.model.facts
    wanted, found = detector.model.run(feeds[0]), answers(target, feeds[0])
    spread = max(value.std() for value in wanted.values())
    assert 1e-4 < largest_difference(wanted, found) < 2 * spread


def test_a_part_that_is_not_there_is_named(float_file, tmp_path):
    with pytest.raises(ValueError, match='neck9: no convolution of the file.*img_backbone'):
        quantize_file(float_file, tmp_path / 'int8.onnx', None, ['neck9'])


def test_half_weights_are_not_quantised(float_file, tmp_path):
    store_half_weights(float_file)
    with pytest.raises(ValueError, match='half precision; quantise the float32 file'):
        quantize_file(float_file, tmp_path / 'int8.onnx')
