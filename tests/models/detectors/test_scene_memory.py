import warnings

import numpy as np
import pytest
import torch
from helpers.bevformer import EGO_AXES

from mmdet3d_plugin.models.detectors.scene_memory import FramePose, SceneMemory
from mmdet3d_plugin.synthetic.random_batch import planar_motion


def _pose(scene='a', seconds=0.0, sample=None, yaw=0.0, place=(0.0, 0.0, 0.0), bev_aug=None):
    meta = dict(
        sample_idx=sample or f'{scene}{seconds}', scene_token=scene, timestamp=1.5e9 + seconds, lidar2ego=EGO_AXES,
        ego2global=planar_motion(yaw=yaw, shift=place).double().numpy(),
    )  # fmt: skip
    return FramePose.of(meta, np.eye(4) if bev_aug is None else bev_aug)


def _recalled(memory, *poses):
    """For each pose, whether the frame before it was recalled."""
    found = []
    for pose in poses:
        frame = memory.recall(pose)
        found.append(frame is not None)
        memory.store(torch.zeros(1), pose)
    return found


def test_scenes_in_order_are_remembered_without_a_word():
    order = [_pose('a', 0.0), _pose('a', 0.5), _pose('a', 1.5), _pose('b', 9.0), _pose('b', 9.5)]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert _recalled(SceneMemory(), *order) == [False, True, True, False, True]


@pytest.mark.parametrize(
    'second, message',
    [
        (_pose('a', 1.2), 'comes 1.2 s after'),
        (_pose('a', -0.5), 'comes -0.5 s after'),
        (_pose('a', 0.0), 'comes 0 s after'),
    ],
)
def test_a_gap_a_step_back_and_a_repetition_start_anew(second, message):
    with pytest.warns(UserWarning, match=message) as caught:
        assert _recalled(SceneMemory(), _pose('a', 0.0), second, _pose('a', second.timestamp - 1.5e9 + 0.5)) == [
            False,
            False,
            True,
        ]
    assert len(caught) == 1


def test_shuffled_scenes_warn_once_until_the_reset():
    memory = SceneMemory()
    order = [_pose('a', 0.0), _pose('b', 9.0), _pose('a', 0.5), _pose('b', 9.5), _pose('b', 20.0)]
    with pytest.warns(UserWarning, match='sample a0.5 of scene a comes back to a scene that was left') as caught:
        assert _recalled(memory, *order) == [False] * 5
    assert len(caught) == 1 and 'load_interval=1' in str(caught[0].message)
    memory.reset()
    assert memory.recall(_pose('b', 20.5)) is None
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert _recalled(memory, *order[:2]) == [False, False]
    with pytest.warns(UserWarning, match='left before'):
        _recalled(memory, *order[2:])


def test_motion_between_frames():
    before = _pose(yaw=3.0, place=(10.0, 5.0, 0.0))
    after = _pose(yaw=3.2, place=(8.0, 5.5, 0.0), bev_aug=planar_motion(scale=2.0).numpy())
    np.testing.assert_allclose(after.translation_since(before), [-2.0, 0.5, 0.0], atol=1e-6)
    assert after.yaw_change_since(before) == pytest.approx(np.degrees(0.2), abs=1e-4)
    world = np.array([3.0, -4.0, 0.5, 1.0])
    in_before, in_after = (np.linalg.solve(pose.bev2global, world) for pose in (before, after))
    np.testing.assert_allclose(after.moved_since(before) @ in_before, in_after, atol=1e-9)


@pytest.mark.parametrize('yaws, wrapped, plain', [((-0.1, 0.1), 11.459, -348.541), ((0.1, -0.1), -11.459, 348.541)])
def test_turning_across_north(yaws, wrapped, plain):
    before, after = (_pose(yaw=yaw) for yaw in yaws)
    assert after.yaw_change_since(before) == pytest.approx(wrapped, abs=1e-3)
    assert after.yaw_change_since(before, wrap=False) == pytest.approx(plain, abs=1e-3)


def test_metas_without_poses_say_what_to_do():
    with pytest.raises(KeyError, match="img_metas lack .'ego2global', 'lidar2ego'.*meta_keys"):
        FramePose.of(dict(sample_idx='x', scene_token='a', timestamp=0.0), np.eye(4))
