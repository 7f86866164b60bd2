"""Pixels to points: projection, owners of LiDAR points, drawn pixels, nearest depth."""

import numpy as np
import pytest
from helpers.instance_masks import HEIGHT, WIDTH, forward_camera, instance
from helpers.tools import load_tool

from mmdet3d_plugin.virtual_points.instance_masks import crop_instance
from mmdet3d_plugin.virtual_points.lift import (
    lift_instances,
    owners,
    project_points,
    sample_pixels,
    unproject_pixels,
)


@pytest.fixture(scope='module')
def by_pixel():
    """The slow reference: the benchmark's version with loops over points and pixels."""
    return load_tool('analysis_tools/benchmarks/virtual_points.py').lift_pixel_by_pixel


def at_pixels(pixels, depths, image):
    return unproject_pixels(np.array(pixels, dtype=float), np.array(depths, dtype=float), image)


def lift(xyz, instances, num_points=50, seed=0):
    return lift_instances(xyz, forward_camera(), instances, num_points, np.random.default_rng(seed))


def test_projection_by_hand():
    """Camera 0.1 m left, 0.2 m behind and 0.3 m above: (0.9, 9.8, 0.7) is 1 right, 1 below its axis at 10 m."""
    image = forward_camera()
    index, pixels, depth = project_points(np.array([[0.9, -9.8, 0], [0.9, 9.8, -1.3]]), image)
    np.testing.assert_array_equal(index, [1])
    np.testing.assert_allclose(depth, [10.0])
    np.testing.assert_allclose(pixels, [[80 + 12.0, 45 + 12.0]])
    np.testing.assert_allclose(unproject_pixels(pixels, depth, image), [[0.9, 9.8, -1.3]])


def test_image_border_is_half_a_pixel_out():
    image = forward_camera()
    pixels = [[-0.49, 0], [-0.51, 0], [WIDTH - 0.51, 5], [WIDTH - 0.49, 5], [3, HEIGHT - 0.51], [3, HEIGHT - 0.49]]
    index, _, _ = project_points(at_pixels(pixels, [5.0] * 6, image), image)
    np.testing.assert_array_equal(index, [0, 2, 4])


@pytest.mark.parametrize('seed', range(4))
def test_equals_pixel_by_pixel_search(by_pixel, seed):
    """Random overlapping discs and points, some masks without points, some of a few pixels."""
    rng, image = np.random.default_rng(seed), forward_camera()
    xyz = rng.uniform([-15, -5, -4], [15, 40, 4], (1500, 3))
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    instances = []
    for radius in (1.5, 1.5, 6, 10, 15, 25, 25):
        centre = rng.uniform((0, 0), (WIDTH, HEIGHT))
        mask = np.hypot(cols - centre[0], rows - centre[1]) < radius
        instances.append(crop_instance(0, round(rng.uniform(0.5, 0.7), 1), mask))
    found = lift(xyz, instances, seed=seed)
    owner, virtual, virtual_owner = by_pixel(xyz, image, instances, 50, np.random.default_rng(seed))
    assert len(virtual) >= 150
    np.testing.assert_array_equal(found.owner, owner)
    np.testing.assert_array_equal(found.virtual_owner, virtual_owner)
    np.testing.assert_allclose(found.virtual_xyz, virtual, atol=1e-9)
    assert found.without_points == len(instances) - len(np.unique(virtual_owner))


def test_depth_comes_from_the_nearest_point_of_the_same_instance():
    """A point of the other instance is nearer to most pixels, and must not give them its depth."""
    image = forward_camera()
    left, right = instance(20, 20, 30, 30), instance(50, 20, 30, 30)
    xyz = at_pixels([[22, 35], [51, 35]], [7.0, 20.0], image)
    found = lift(xyz, [left, right])
    _, pixels, depth = project_points(found.virtual_xyz, image)
    np.testing.assert_allclose(depth[found.virtual_owner == 0], 7.0)
    np.testing.assert_allclose(depth[found.virtual_owner == 1], 20.0)
    assert (pixels[found.virtual_owner == 0, 0] < 49.5).all() and (pixels[found.virtual_owner == 1, 0] > 49.5).all()
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-6)


@pytest.mark.parametrize('width, height', [(1, 1), (7, 7), (5, 10), (30, 30)])
def test_number_of_drawn_pixels(width, height):
    drawn = sample_pixels(instance(40, 30, width, height), 50, np.random.default_rng(0))
    assert drawn.shape == (50, 2)
    assert drawn[:, 0].min() >= 40 and drawn[:, 0].max() < 40 + width
    assert drawn[:, 1].min() >= 30 and drawn[:, 1].max() < 30 + height
    different = len(np.unique(drawn, axis=0))
    assert different == 50 if width * height >= 50 else different <= width * height


def test_drawn_pixels_are_spread_evenly():
    """Each half of a mask, cut either way, gets about half of many pixels (4 standard deviations are 0.02)."""
    drawn = sample_pixels(instance(0, 0, 160, 90), 10000, np.random.default_rng(0))
    assert abs((drawn[:, 0] < 80).mean() - 0.5) < 0.02 and abs((drawn[:, 1] < 45).mean() - 0.5) < 0.02


def test_instance_without_a_lidar_point_has_no_virtual_points():
    image = forward_camera()
    xyz = at_pixels([[30, 30]], [10.0], image)
    found = lift(xyz, [instance(20, 20, 20, 20), instance(100, 20, 20, 20)])
    np.testing.assert_array_equal(np.unique(found.virtual_owner), [0])
    assert len(found.virtual_xyz) == 50 and found.without_points == 1


def test_no_points_no_instances():
    image = forward_camera()
    nothing = lift(at_pixels([[150, 80]], [10.0], image), [instance(20, 20, 20, 20)])
    assert nothing.virtual_xyz.shape == (0, 3) and (nothing.owner == -1).all() and nothing.without_points == 1
    nothing = lift(at_pixels([[150, 80]], [10.0], image), [])
    assert nothing.virtual_xyz.shape == (0, 3) and nothing.without_points == 0


def test_overlapping_masks_share_pixels_by_score():
    low, high = instance(20, 20, 40, 40, score=0.4), instance(40, 20, 40, 40, score=0.9)
    cols, rows = np.array([25, 45, 59, 70, 90]), np.array([30, 30, 30, 30, 30])
    np.testing.assert_array_equal(owners(cols, rows, [low, high]), [0, 1, 1, 1, -1])
    np.testing.assert_array_equal(owners(cols, rows, [high, low]), [1, 0, 0, 0, -1])
    same = [instance(20, 20, 40, 40), instance(40, 20, 40, 40)]
    np.testing.assert_array_equal(owners(cols, rows, same), [0, 0, 0, 1, -1])


def test_covered_instance_gets_no_depth_from_the_one_in_front():
    image = forward_camera()
    xyz = at_pixels([[30, 30]], [10.0], image)
    found = lift(xyz, [instance(20, 20, 20, 20, score=0.5), instance(10, 10, 40, 40, score=0.9)])
    np.testing.assert_array_equal(np.unique(found.virtual_owner), [1])
    assert found.without_points == 1


def test_holes_of_a_mask_are_not_part_of_it():
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[20:40, 20:40], mask[25:35, 25:35] = True, False
    ring = crop_instance(0, 1.0, mask)
    np.testing.assert_array_equal(owners(np.array([22, 30]), np.array([22, 30]), [ring]), [0, -1])
    drawn = sample_pixels(ring, 300, np.random.default_rng(0))
    assert mask[drawn[:, 1], drawn[:, 0]].all() and len(np.unique(drawn, axis=0)) == 300
