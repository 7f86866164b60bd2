"""Films and their frames."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers.demo_frames import RANGE, TURNED, boxes, make_frame
from PIL import Image

from mmdet3d_plugin.visualization.comparison import draw_comparison
from mmdet3d_plugin.visualization.film import write_gif, write_mp4
from mmdet3d_plugin.visualization.palette import GROUND_TRUTH_FILL, class_colour

COLOURS = [(200, 30, 30), (30, 160, 60), (20, 60, 200)]


def plain():
    return [np.full((48, 64, 3), colour, dtype=np.uint8) for colour in COLOURS]


def test_gif_shows_every_image_in_order(tmp_path):
    write_gif(plain(), tmp_path / 'film.gif', fps=4)
    with Image.open(tmp_path / 'film.gif') as film:
        assert (film.size, film.n_frames, film.info['duration'], film.info['loop']) == ((64, 48), 3, 250, 0)
        for number, colour in enumerate(COLOURS):
            film.seek(number)
            np.testing.assert_allclose(film.convert('RGB').getpixel((32, 24)), colour, atol=3)


def test_mp4_shows_every_image_in_order(tmp_path):
    if not write_mp4(plain(), tmp_path / 'film.mp4', fps=4):
        pytest.skip('this OpenCV has no MPEG-4 encoder')
    film = cv2.VideoCapture(str(tmp_path / 'film.mp4'))
    assert film.get(cv2.CAP_PROP_FPS) == 4
    for colour in COLOURS:
        read, image = film.read()
        assert read
        np.testing.assert_allclose(image[24, 32, ::-1], colour, atol=12)
    assert not film.read()[0]
    assert [path.name for path in tmp_path.iterdir()] == ['film.mp4']


def test_without_an_encoder_there_is_no_mp4(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, 'VideoWriter_fourcc', lambda *letters: 0x21212121)
    assert not write_mp4(plain(), tmp_path / 'film.mp4', fps=4) and not list(tmp_path.iterdir())


def test_columns_are_models_and_then_ground_truth():
    """Each has a line of text, a view of 100 x 100 px and the front camera, 100 px wide."""
    near = boxes([0, 10, 0, 8, 4, 2, 0], scores=[0.6])
    frame = make_frame(models={'a': near, 'b': boxes(TURNED, scores=[0.2])}, truth=near.select([True]))
    image = draw_comparison(frame, RANGE, 0.3, height=100, gap=6)
    height = 26 + 26 + 100 + round(100 * 90 / 160)
    assert image.shape == (height + height % 2, 3 * 100 + 2 * 6, 3)
    view = image[52:152]
    inside = [view[27, left + 46] for left in (0, 106, 212)]  # x = -1.6 m, y = 9.2 m: away from lines and text
    assert [tuple(pixel) == GROUND_TRUTH_FILL for pixel in inside] == [True, True, False]
    blue = [(view[:, left : left + 100] == class_colour('car')).all(axis=-1).any() for left in (0, 106, 212)]
    assert blue == [True, False, True]  # b's box is below the threshold
    assert draw_comparison(frame, RANGE, 0.3, height=100, credit='x').shape[0] in (image.shape[0] + 26, height + 26)


def test_a_frame_without_ground_truth_or_cameras():
    frame = replace(make_frame(), truth=None, cameras={})
    assert draw_comparison(frame, RANGE, 0.3, height=100).shape == (152, 100, 3)
