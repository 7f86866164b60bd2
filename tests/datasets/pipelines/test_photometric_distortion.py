"""Each colour operation by hand, each image by itself, and draws that a seed repeats."""

import colorsys

import numpy as np
import pytest
from mmdet.datasets.pipelines import transforms

from mmdet3d_plugin.datasets.pipelines import PhotometricDistortion

BGR = np.array([[[30, 60, 120], [200, 10, 90]]], dtype=np.uint8)


class Script:
    """In place of numpy's generator: coins and factors in the order in which the step asks for them."""

    def __init__(self, coins, draws=(), order=(0, 1, 2)):
        self.coins, self.draws, self.order, self.asked = list(coins), list(draws), list(order), []

    def randint(self, high):
        assert high == 2
        return self.coins.pop(0)

    def uniform(self, low, high):
        self.asked.append((low, high))
        return self.draws.pop(0)

    def permutation(self, count):
        return self.order


def distort(monkeypatch, coins, draws=(), order=(0, 1, 2), **options):
    script = Script(coins, draws, order)
    monkeypatch.setattr(transforms, 'random', script)
    image = PhotometricDistortion(**options)(dict(images=[[BGR]]))['images'][0][0]
    assert not script.coins and not script.draws and image.dtype == np.float32
    return image, script.asked


# coins: brightness, contrast early, (contrast), saturation, hue, (contrast late), channels
@pytest.mark.parametrize(
    'coins, draws, asked, expected',
    [
        ([0, 1, 0, 0, 0, 0], [], [], BGR * 1.0),
        ([1, 1, 0, 0, 0, 0], [25.0], [(-32, 32)], BGR + 25.0),
        ([0, 1, 1, 0, 0, 0], [1.5], [(0.5, 1.5)], BGR * 1.5),  # 300: not clipped
        ([0, 0, 0, 0, 1, 0], [0.5], [(0.5, 1.5)], BGR * 0.5),
        ([1, 0, 0, 0, 1, 0], [20.0, 0.5], [(-32, 32), (0.5, 1.5)], (BGR + 20.0) * 0.5),
        ([0, 1, 0, 0, 0, 1], [], [], BGR[..., [2, 0, 1]] * 1.0),
    ],
)
def test_brightness_contrast_and_channels(monkeypatch, coins, draws, asked, expected):
    image, drawn = distort(monkeypatch, coins, draws, order=[2, 0, 1])
    np.testing.assert_allclose(image, expected, atol=1e-3)
    assert drawn == asked


@pytest.mark.parametrize('coins, draws', [([0, 1, 0, 1, 0, 0], [0.5]), ([0, 1, 0, 0, 1, 0], [-18.0])])
def test_saturation_and_hue_against_colorsys(monkeypatch, coins, draws):
    """Hues of 20 and 265 degrees, less 18; saturation lies in [0, 1]."""
    image, _ = distort(monkeypatch, coins, draws)
    for pixel, found in zip(BGR[0] / 255, image[0]):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel[::-1])
        if coins[3]:
            saturation *= draws[0]
        else:
            hue = (hue + draws[0] / 360) % 1
        np.testing.assert_allclose(found[::-1], np.array(colorsys.hsv_to_rgb(hue, saturation, value)) * 255, atol=0.1)


def test_hue_wraps_at_both_ends(monkeypatch):
    """A red of 10 degrees goes below 0 and one of 350 degrees above 360 without a jump of colour."""
    for hue, shift in ((10, -18.0), (350, 18.0)):
        rgb = np.array(colorsys.hsv_to_rgb(hue / 360, 0.75, 0.6)) * 255
        monkeypatch.setattr(transforms, 'random', Script([0, 1, 0, 0, 1, 0], [shift]))
        image = PhotometricDistortion()(dict(images=[[np.float32(rgb[None, None, ::-1])]]))['images'][0][0]
        expected = np.array(colorsys.hsv_to_rgb((hue + shift) % 360 / 360, 0.75, 0.6)) * 255
        np.testing.assert_allclose(image[0, 0, ::-1], expected, atol=0.1)


def test_every_image_of_every_frame_is_drawn_by_itself_and_the_seed_repeats_it():
    images = [[BGR] * 3] * 4  # one and the same array, as for a file that occurs twice
    before = BGR.copy()
    results = []
    for seed in (7, 7, 8):
        np.random.seed(seed)
        results.append(np.stack(sum(PhotometricDistortion()(dict(images=images))['images'], [])))
    np.testing.assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - results[2]).max() > 1
    assert len(np.unique(results[0].reshape(12, -1).round(3), axis=0)) > 8
    np.testing.assert_array_equal(BGR, before)


def test_each_operation_happens_half_of_the_time():
    np.random.seed(0)
    grey = np.full((1, 1, 3), 100, dtype=np.uint8)  # only brightness and contrast change a grey pixel
    step = PhotometricDistortion()
    values = np.array([step(dict(images=[[grey]]))['images'][0][0][0, 0, 0] for _ in range(2000)])
    assert abs((np.abs(values - 100) < 1e-3).mean() - 0.25) < 0.04
    assert values.min() > 0.5 * 68 - 1 and values.max() < 1.5 * 132 + 1
