"""A detector moment after moment: what it remembers, and what a moment must say."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import deploy

from dualdistill_runtime.detector import open_detector
from dualdistill_runtime.frame import Frame


def moments(detector, seconds, size):
    """A drive along the car's axis, 2 m a second, with cameras that look around and see noise."""
    random = np.random.default_rng(0)
    cameras = detector.model.facts['cameras']
    mounts, frames = {}, []
    for number, name in enumerate(cameras):
        yaw = 2 * np.pi * number / len(cameras)
        mounts[name] = np.eye(4)
        mounts[name][:3, :3] = np.array([[np.cos(yaw), 0, np.sin(yaw)], [-np.sin(yaw), 0, np.cos(yaw)], [0, -1, 0]])
    focal = np.array([[60.0, 0, size[1] / 2], [0, 60, size[0] / 2], [0, 0, 1]])
    for time in seconds:
        pose = np.eye(4)
        pose[1, 3] = 2.0 * time
        frames.append(
            Frame(
                images={name: random.integers(0, 256, (*size, 3), dtype=np.uint8) for name in cameras},
                intrinsics=dict.fromkeys(cameras, focal),
                camera2global={name: pose @ mount for name, mount in mounts.items()},
                lidar2global=pose,
                timestamp=time,
                ego2global=pose,
                token=f'at {time}',
            )
        )
    return frames


def scores(found):
    return np.sort(found.scores)


def test_bevdepth_compares_with_the_age_that_is_asked_for(bevdepth):
    detector = open_detector(bevdepth[0])
    first, second, third = moments(detector, [0.0, 1.0, 1.5], (40, 80))

    def after(*earlier):
        detector.reset()
        for frame in earlier:
            detector.glance(frame)
        return scores(detector.look(third))

    detector.reset()
    detector.glance(first), detector.glance(second)
    np.testing.assert_array_equal(scores(detector.look(third, age=1.4)), after(first))
    assert not np.array_equal(after(first), after(second))
    np.testing.assert_array_equal(after(first, second), after(second))  # the latest, unless another is asked for


@pytest.mark.parametrize('age', [None, 1.5])
def test_bevdepth_forgets_what_is_long_ago(bevdepth, age):
    detector = open_detector(bevdepth[0])
    first, late = moments(detector, [0.0, 60.0], (40, 80))
    alone = scores(detector.look(late))
    detector.reset()
    detector.glance(first)
    np.testing.assert_array_equal(scores(detector.look(late, age=age)), alone)
    detector.reset()
    detector.glance(first)
    assert not np.array_equal(scores(detector.look(late, age=60.0)), alone)  # whoever asks for it gets it


def test_bevformer_wants_to_know_where_the_car_is(bevformer):
    detector = open_detector(bevformer[0])
    (frame,) = moments(detector, [0.0], deploy.CAMERA_SIZE)
    assert len(detector.look(frame).scores)
    with pytest.raises(ValueError, match='frame at 0.0: this student reads the motion of the car: give ego2global'):
        detector.look(replace(frame, ego2global=None))
