"""Where things land in the bird's-eye-view panel."""

import numpy as np
import pytest

from mmdet3d_plugin.structures.boxes import Boxes
from mmdet3d_plugin.visualization.bev import bev_pixels, draw_bev
from mmdet3d_plugin.visualization.palette import GROUND_TRUTH_FILL, POINT, class_colour

RANGE = (-20.0, -10.0, 20.0, 30.0)
NONE = Boxes(np.zeros((0, 7)))
NO_POINTS = np.zeros((0, 3))


def box(x, y, length, width, yaw):
    return np.array([[x, y, 0.0, length, width, 1.5, yaw]])


def test_pixels_have_x_right_and_y_up():
    pixels = bev_pixels([[-20, 30], [20, -10], [0, 0]], RANGE, height=400)
    np.testing.assert_allclose(pixels, [[0, 0], [400, 400], [200, 300]])


def test_panel_width_follows_from_the_range():
    assert draw_bev(NO_POINTS, NONE, NONE, (-40, -10, 40, 30), height=100).shape == (100, 200, 3)


def test_point_colours_its_pixel_and_far_points_are_left_out():
    points = np.array([[10.05, 20.05, 0], [500, 0, 0], [0, -500, 0], [20.0, 0, 0]])
    image = draw_bev(points, NONE, NONE, RANGE, height=400, ring_step=1000)
    assert tuple(image[99, 300]) == POINT
    assert (image == POINT).all(axis=-1).sum() == 1 + (draw_bev(NO_POINTS, NONE, NONE, RANGE, 400, 1000) == POINT).all(
        axis=-1
    ).sum()


def test_ground_truth_is_filled_and_turned():
    truth = Boxes(box(10, 20, 8, 2, np.pi / 2), ['car'])
    image = draw_bev(NO_POINTS, truth, NONE, RANGE, height=400, ring_step=1000)
    assert tuple(image[100 + 30, 300 + 5]) == GROUND_TRUTH_FILL  # 3 m behind the centre: inside along y
    assert tuple(image[100, 300 + 30]) != GROUND_TRUTH_FILL  # 3 m to the right: outside
    assert tuple(image[130, 300]) == GROUND_TRUTH_FILL  # rear half of the axis: no heading line there
    assert tuple(image[80, 300]) != GROUND_TRUTH_FILL  # front half: the heading line


def test_prediction_has_its_class_colour_on_its_outline_and_heading():
    predicted = Boxes(box(10, 20, 8, 4, 0.0), ['bus'], np.array([0.5]))
    image = draw_bev(NO_POINTS, NONE, predicted, RANGE, height=400, ring_step=1000, show_scores=False)
    red = class_colour('bus')
    assert tuple(image[100, 320]) == red  # heading, towards +x
    assert tuple(image[100, 280]) != red
    assert tuple(image[80, 300]) == red  # left side at y = 22
    assert tuple(image[60, 300]) != red


def test_scores_add_ink_and_inputs_are_untouched():
    predicted = Boxes(box(10, 20, 8, 4, 0.0), ['bus'], np.array([0.5]))
    before = predicted.boxes.copy()
    plain, scored = (draw_bev(NO_POINTS, NONE, predicted, RANGE, 400, show_scores=flag) for flag in (False, True))
    assert (plain != scored).any()
    np.testing.assert_array_equal(predicted.boxes, before)


def test_rings_are_at_their_radius():
    image = draw_bev(NO_POINTS, NONE, NONE, RANGE, height=400, ring_step=15.0)
    assert (image[300, 350] != image[300, 360]).any()  # 15 m to the right of the sensor


@pytest.mark.parametrize('name', ['car', 'unheard_of'])
def test_every_name_has_a_colour(name):
    assert len(class_colour(name)) == 3
