"""Exported files give what torch gives, for any batch, and say what they are."""

import builtins

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import deploy
from torch import nn

from dualdistill_runtime.detector import open_detector
from mmdet3d_plugin.compat import export_to_onnx
from mmdet3d_plugin.deploy import model_facts
from mmdet3d_plugin.deploy.export import export_student, require_onnx, student_graph
from mmdet3d_plugin.deploy.model_facts import StudentSteps
from mmdet3d_plugin.deploy.symbolics import own_operators
from mmdet3d_plugin.deploy.verify import compare, example_feed, largest_difference, random_moments, runtime_outputs

CLOSE = 1e-4


@pytest.mark.parametrize('decoded', [False, True])
def test_bevdepth_answers_as_in_torch(exported, decoded):
    path, detector, graph = exported(deploy.bevdepth(), decoded=decoded)
    assert max(compare(detector, graph, path)) < CLOSE


def test_a_single_frame_student_needs_no_map(exported):
    path, detector, graph = exported(deploy.bevdepth(num_frames=1, velocity_mode='velocity'))
    assert not any(name.startswith('previous') for name in graph.inputs)
    assert max(compare(detector, graph, path)) < CLOSE


@pytest.mark.parametrize('alignment', ['warp', 'released'])
@pytest.mark.parametrize('decoded', [False, True])
def test_bevformer_answers_as_in_torch(exported, alignment, decoded):
    path, detector, graph = exported(deploy.bevformer(alignment), decoded=decoded)
    assert max(compare(detector, graph, path)) < CLOSE


def test_the_frame_before_counts(bevdepth, bevformer):
    """Else the comparisons above could not see a file that leaves it aside."""
    for path, _, _ in (bevdepth, bevformer):
        runtime = open_detector(path)
        batch = random_moments(runtime.model.facts, 1)
        alone = {key: value[:, :1] if key in ('img', 'intrins') else value for key, value in batch.items()}
        with_history, without = runtime_outputs(runtime, batch), runtime_outputs(runtime, alone)
        assert largest_difference(with_history, without) > 10 * CLOSE


def test_the_first_frame_of_a_scene_is_compared_with_itself(bevdepth):
    """As the pipeline has it: the current frame again, with identity motion."""
    path, detector, _ = bevdepth
    runtime = open_detector(path)
    batch = random_moments(runtime.model.facts, 2)
    for key in ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur'):
        batch[key][:, 1] = batch[key][:, 0]
    with torch.no_grad():
        (maps,), *_ = detector.head.predict(detector.extract_bev(batch).head_map)
    found = runtime.model.run(example_feed(runtime, 2))
    np.testing.assert_allclose(found['task0_heatmap'], maps['heatmap'].numpy(), atol=CLOSE)


def test_cameras_that_see_no_cell_are_left_out(bevdepth, bevformer):
    for path, detector, graph in (bevdepth, bevformer):
        runtime = open_detector(path)
        batch = random_moments(runtime.model.facts, 2)
        up = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
        batch['cam2lidar'][0, :, 0, :3, :3] = up  # the optical axis points to the sky
        batch['cam2lidar'][1, :, :, :3, :3] = up
        batch['cam2lidar'][:, :, 0, 2, 3] = 40.0
        batch['cam2lidar'][1, :, :, 2, 3] = 40.0
        with torch.no_grad():
            want = graph.head(detector.extract_bev(batch).head_map)
        found = runtime_outputs(runtime, batch)
        assert largest_difference({name: value.numpy() for name, value in want.items()}, found) < CLOSE


@pytest.mark.parametrize('opset', [17, 20])
def test_the_graph_holds_standard_operators_alone(exported, opset):
    path, _, _ = exported(deploy.bevdepth(), opset=opset)
    model = onnx.load(path)
    assert {node.domain for node in model.graph.node} <= {'', 'ai.onnx'}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [('', opset)]
    assert {'GridSample', 'ScatterElements'} <= {node.op_type for node in model.graph.node}


def test_the_file_explains_itself(bevdepth, bevformer):
    facts = open_detector(bevdepth[0]).model.facts
    assert facts['classes'] == deploy.CLASSES and facts['cameras'][0] == 'CAM_FRONT_LEFT' and len(facts['cameras']) == 6
    assert facts['image'] == dict(
        kind='resize_crop', decode_reduction=1, final_dim=[32, 64], test_resize=0.02,
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
    )  # fmt: skip
    assert facts['frames'] == dict(kind='adjacent', reference_camera=None, test_index=5)
    assert facts['frustum']['depth_bound'] == [1.0, 17.0, 1.0] and facts['frustum']['grid'][4:] == [16, 16]
    assert facts['head']['displacement'] and facts['class_range']['car'] == 50.0
    facts = open_detector(bevformer[0]).model.facts
    assert facts['cameras'] == ['CAM_FRONT', 'CAM_BACK'] and facts['pillars']['image_size'] == [96, 160]
    assert facts['motion'] == dict(motion_source='poses', quaternion='full', wrap_yaw=True)


def test_a_step_that_no_file_can_describe_is_named(tmp_path):
    cfg, detector = deploy.bevdepth()
    cfg.data.test.pipeline.insert(2, dict(type='PhotometricDistortion'))
    with pytest.raises(ValueError, match='data.test.pipeline: a file cannot tell its reader to do what Photometric'):
        export_student(cfg, detector, tmp_path / 'student.onnx')


def test_cameras_are_those_that_are_named(exported):
    """Where no test set is there to tell them, nuScenes' six are a guess, and said to be one."""
    cfg, detector = deploy.bevdepth()
    with pytest.warns(UserWarning, match="which cameras\\? nowhere.pkl is not there.*nuScenes' six.*--cameras"):
        path, _, _ = exported((cfg, detector))
    assert len(open_detector(path).model.facts['cameras']) == 6
    path, _, graph = exported((cfg, detector), cameras=['LEFT', 'RIGHT'])
    runtime = open_detector(path)
    assert runtime.model.facts['cameras'] == ['LEFT', 'RIGHT'] and runtime.model.input_shapes['images'][1] == 2


def test_the_largest_image_of_a_sample_says_how_large_the_input_is(tmp_path, monkeypatch):
    cfg, _ = deploy.bevformer()
    cams = {}
    for name, size in {'CAM_FRONT': (50, 90, 3), 'CAM_BACK': (70, 60, 3), 'CAM_LEFT': (500, 500, 3)}.items():
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.zeros(size, np.uint8))
        cams[name] = dict(data_path=f'{name}.png')
    cfg.data.test.update(ann_file=__file__, data_root=str(tmp_path))
    monkeypatch.setattr(model_facts, 'load_infos', lambda path: dict(infos=[dict(cams=cams)]))
    assert StudentSteps(cfg).input_size() == (96, 96) and StudentSteps(cfg).input_size((70, 100)) == (96, 128)


def test_boxes_without_velocities_stand_still(exported):
    path, detector, graph = exported(deploy.bevdepth(velocities=False, velocity_mode='velocity'), decoded=True)
    assert max(compare(detector, graph, path)) < CLOSE
    runtime = open_detector(path)
    found = runtime.model.run(example_feed(runtime))
    assert found['task0_boxes'].shape[2] == 9 and not found['task0_boxes'][..., 7:].any()


def test_the_detector_stays_as_it_is():
    cfg, detector = deploy.bevdepth()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    student_graph(detector)
    after = detector.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_a_layer_without_an_operator_is_named(tmp_path):
    cfg, detector = deploy.bevdepth()
    detector.img_neck.fpn_convs[0] = nn.Sequential(detector.img_neck.fpn_convs[0], deploy.Unknown())
    with pytest.raises(
        ValueError, match=r'^img_neck\.fpn_convs\.0\.1: ONNX has no operator for aten::special_bessel_j0'
    ):
        export_student(cfg, detector, tmp_path / 'student.onnx')
    assert not list(tmp_path.glob('*.onnx'))


def test_an_unknown_detector_is_refused(tmp_path):
    with pytest.raises(ValueError, match='Unknown has no ONNX graph; known are BEVDepth4D, BEVFormer'):
        student_graph(deploy.Unknown())


def test_an_opset_that_cannot_serve_is_refused(tmp_path):
    with pytest.raises(ValueError, match='opset 11: choose one from 17 to 20'):
        export_student(*deploy.bevdepth(), tmp_path / 'student.onnx', opset=11)


def test_images_of_unknown_size_are_asked_for(tmp_path):
    with pytest.raises(ValueError, match='give --camera-size HEIGHT WIDTH'):
        export_student(*deploy.bevformer(), tmp_path / 'student.onnx')


def test_a_missing_package_is_one_clear_error(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == 'onnxruntime':
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ImportError, match='onnxruntime is not installed.*pip install -r requirements/deploy.txt'):
        require_onnx()


class _Sums(nn.Module):
    """Rows (K, 64) summed into 40 cells."""

    def forward(self, cells, rows):
        return rows.new_zeros(40, 64).index_add(0, cells, rows)


def test_several_threads_add_every_row(tmp_path):
    """onnxruntime's ScatterND loses rows here, in nearly every run with two threads."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randint(40, (20000,), generator=generator)
    rows = torch.randint(5, (20000, 64), generator=generator).float()  # whole numbers: sums are exact in any order
    path, names = tmp_path / 'sums.onnx', ['cells', 'rows']
    with own_operators(17):
        export_to_onnx(
            _Sums(), (cells, rows), path, input_names=names, output_names=['sums'], dynamic_axes={}, opset_version=17
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options)
    for _ in range(10):
        (found,) = session.run(None, dict(cells=cells.numpy(), rows=rows.numpy()))
        np.testing.assert_array_equal(found, _Sums()(cells, rows).numpy())
