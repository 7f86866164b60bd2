"""Whole images: values by hand, zeros beside them, and matrices that say where each pixel went."""

import cv2
import numpy as np
import pytest

from mmdet3d_plugin.datasets.pipelines import AugmentMultiViewImages, NormalizePad

PLAIN = dict(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def run(step, frames, reduction=1):
    return step(dict(images=frames, image_reduction=reduction))


def random_images(frames=2, cameras=3, height=45, width=80, seed=0):
    rng = np.random.default_rng(seed)
    return [[rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(cameras)] for _ in range(frames)]


def test_values_and_padding_by_hand():
    images = random_images()
    results = run(NormalizePad(), images)
    img = results['img']
    assert img.shape == (2, 3, 3, 64, 96) and img.dtype == np.float32
    expected = images[1][2].transpose(2, 0, 1) - np.array([103.530, 116.280, 123.675])[:, None, None]
    np.testing.assert_allclose(img[1, 2, :, :45, :80], expected, atol=1e-4)
    assert not img[..., 45:, :].any() and not img[..., 80:].any()
    assert 'images' not in results and 'image_reduction' not in results


def test_full_size_is_padded_to_that_of_published_weights():
    img = run(NormalizePad(), [[np.zeros((900, 1600, 3), dtype=np.uint8)]])['img']
    assert img.shape == (1, 1, 3, 928, 1600)


def test_rgb_with_std_is_what_augment_multi_view_images_gives():
    images = random_images(height=64, width=96)
    rgb = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    found = run(NormalizePad(to_rgb=True, **rgb), images)
    other = run(AugmentMultiViewImages(final_dim=(64, 96), test_resize=0.0, test_mode=True, **rgb), images)
    for key in ('img', 'post_rots', 'post_trans'):
        np.testing.assert_allclose(found[key], other[key], atol=1e-5, err_msg=key)


def test_without_resizing_pixels_stay_where_they_are():
    results = run(NormalizePad(), random_images())
    np.testing.assert_array_equal(results['post_rots'], np.tile(np.eye(3), (2, 3, 1, 1)))
    np.testing.assert_array_equal(results['post_trans'], np.zeros((2, 3, 3)))
    assert results['post_rots'].dtype == results['post_trans'].dtype == np.float64


@pytest.mark.parametrize('scale, reduction', [(0.5, 1), (0.37, 1), (1.0, 2), (0.5, 2), (1.3, 1)])
def test_a_marker_lands_where_the_matrix_says(scale, reduction):
    """Centre of mass of a blob against the matrix, where width and height do not shrink by quite the same factor."""
    height, width = 136, 240
    rows, cols = np.mgrid[:height, :width]
    for spot in ((60.3, 50.2), (171.8, 90.6)):
        blob = 255 * np.exp(-((cols - spot[0]) ** 2 + (rows - spot[1]) ** 2) / (2 * 6.0**2))
        image = np.repeat(blob[..., None], 3, axis=2).astype(np.float32)
        if reduction > 1:
            image = cv2.resize(image, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)
        results = run(NormalizePad(scale=scale, **PLAIN), [[image]], reduction)
        assert results['img'].shape[-2] >= round(height * scale) > results['img'].shape[-2] - 32
        shown = results['img'][0, 0, 0].astype(np.float64)
        v, u = np.mgrid[: shown.shape[0], : shown.shape[1]]
        centre = np.array([(shown * u).sum(), (shown * v).sum()]) / shown.sum()
        expected = results['post_rots'][0, 0] @ [*spot, 1] + results['post_trans'][0, 0]
        np.testing.assert_allclose(centre, expected[:2], atol=0.03)


def test_images_of_different_sizes_share_the_larger_canvas():
    results = run(NormalizePad(), [[np.ones((30, 40, 3), np.uint8), np.ones((60, 20, 3), np.uint8)]])
    assert results['img'].shape == (1, 2, 3, 64, 64)
    assert results['img'][0, 0, :, :30, :40].all() and not results['img'][0, 0, :, 30:].any()


def test_given_images_stay_as_they_are_and_floats_are_not_clipped():
    images = [[np.full((32, 32, 3), value, dtype=np.float32) for value in (-20.0, 300.0)]]
    img = run(NormalizePad(mean=(10, 10, 10), std=(2, 2, 2)), images)['img']
    np.testing.assert_allclose(img[0, :, 0, 0, 0], [-15, 145])
    assert images[0][0][0, 0, 0] == -20


@pytest.mark.parametrize('options', [dict(std=(1, 0, 1)), dict(mean=(1, 2)), dict(size_divisor=0), dict(scale=0.0)])
def test_numbers_that_cannot_serve_are_refused(options):
    with pytest.raises(ValueError, match='need 3 means|must be positive'):
        NormalizePad(**options)
