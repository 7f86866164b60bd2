"""Points, means and order of the picture of scores."""

import numpy as np
import pytest

from mmdet3d_plugin.visualization.seed_scores import draw_seed_scores, seed_scores_figure

ROWS = [
    dict(config='b', seed=1, mAP=0.1, NDS=0.2),
    dict(config='b', seed=0, mAP=0.3, NDS=0.6),
    dict(config='a', seed=0, mAP=0.2, NDS=0.3),
]


def test_every_seed_has_its_points_and_every_config_its_mean():
    axes = seed_scores_figure(ROWS, ('mAP', 'NDS')).axes
    assert [axis.get_title() for axis in axes] == ['mAP', 'NDS']
    points = [{group.get_label(): group.get_offsets().tolist() for group in axis.collections} for axis in axes]
    assert points[0] == {
        'seed 0': [[0.3, 0], [0.2, 1]],
        'seed 1': [[0.1, 0]],
        'mean': [[pytest.approx(0.2), 0], [0.2, 1]],
    }
    assert points[1] == {
        'seed 0': [[0.6, 0], [0.3, 1]],
        'seed 1': [[0.2, 0]],
        'mean': [[pytest.approx(0.4), 0], [0.3, 1]],
    }


def test_configs_are_listed_from_the_top():
    axis = seed_scores_figure(ROWS, ('mAP',)).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ['b', 'a']
    bottom, top = axis.get_ylim()
    assert bottom > top


def test_a_seed_has_one_colour():
    axes = seed_scores_figure(ROWS, ('mAP', 'NDS')).axes
    colours = [[group.get_facecolor()[0, :3] for group in axis.collections] for axis in axes]
    np.testing.assert_array_equal(colours[0], colours[1])
    assert not np.array_equal(colours[0][0], colours[0][1])


def test_the_picture_has_room_for_every_config():
    one = draw_seed_scores(ROWS[:2], ('mAP',))
    two = draw_seed_scores(ROWS, ('mAP',))
    assert one.dtype == np.uint8 and one.shape[2] == 3 and one.min() < 60
    assert two.shape[0] > one.shape[0] and two.shape[1] == one.shape[1]


def test_nothing_to_plot():
    with pytest.raises(ValueError, match='no runs'):
        draw_seed_scores([], ('mAP',))
