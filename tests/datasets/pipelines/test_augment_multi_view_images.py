"""Image augmentation: post_rots and post_trans say where each pixel went, to a small part of a pixel."""

import math
import random

import cv2
import numpy as np
import pytest

from dualdistill_runtime.image_affine import ImageAug, resize_matrix, seen_part
from mmdet3d_plugin.datasets.pipelines import AugmentMultiViewImages

PLAIN = dict(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _run(step, frames, reduction=1):
    return step(dict(images=frames, image_reduction=reduction))


def _map(results, uv, frame=0, camera=0):
    rotation, shift = results['post_rots'][frame, camera], results['post_trans'][frame, camera]
    return (np.concatenate([uv, np.ones((len(uv), 1))], axis=1) @ rotation.T + shift)[:, :2]


def _unmap(results, uv, camera=0):
    rotation, shift = results['post_rots'][0, camera, :2, :2], results['post_trans'][0, camera, :2]
    return (uv - shift) @ np.linalg.inv(rotation).T


def _reduce(image, reduction):
    """Box filter, as a reduced decoder gives it."""
    height, width = image.shape[:2]
    return cv2.resize(image, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    'source, final_dim, reduction',
    [
        ((224, 400), (96, 256), 1),
        ((900, 1600), (256, 704), 1),
        ((900, 1600), (256, 704), 2),
        ((900, 1600), (64, 176), 1),
    ],
)
def test_a_marker_lands_where_the_matrix_says(source, final_dim, reduction):
    """Blob at a known pixel: its centre of mass in the augmented image against the matrix; same for every frame."""
    step = AugmentMultiViewImages(final_dim=final_dim, **PLAIN)
    height, width = source
    rows, cols = np.mgrid[:height, :width]
    checked = 0
    for _ in range(12):
        # low in the picture, so that the crop keeps it
        spot = np.array([random.uniform(0.3, 0.7) * width, random.uniform(0.7, 0.8) * height])
        sigma = width / 100
        blob = 255 * np.exp(-((cols - spot[0]) ** 2 + (rows - spot[1]) ** 2) / (2 * sigma**2))
        image = _reduce(np.repeat(np.round(blob)[..., None], 3, axis=2).astype(np.uint8), reduction)
        results = _run(step, [[image], [image]], reduction)
        expected = _map(results, spot[None])[0]
        for frame in range(2):
            warped = results['img'][frame, 0].sum(axis=0).astype(np.float64)
            v, u = np.mgrid[: final_dim[0], : final_dim[1]]
            centre = np.array([(warped * u).sum(), (warped * v).sum()]) / warped.sum()
            # the blob must lie inside the crop with room to spare for its centre to be that of the whole blob
            margin = np.min(np.concatenate([expected, np.array(final_dim[::-1]) - 1 - expected]))
            if margin > 4 * sigma * final_dim[1] / width:
                np.testing.assert_allclose(centre, expected, atol=0.05)
                checked += 1
    assert checked >= 10


@pytest.mark.parametrize('reduction', [1, 2])
@pytest.mark.parametrize('final_dim', [(48, 128), (20, 56), (128, 352)])
def test_every_pixel_shows_the_place_it_was_taken_from(final_dim, reduction):
    """Ramps in red (2 u) and green (2 v) read back as coordinates; the mean error would show any constant offset.

    Two grey levels a pixel, so that a 2x2 box has a whole mean and rounding adds no bias.
    """
    height, width = 120, 128
    ramp = np.zeros((height, width, 3), dtype=np.uint8)
    ramp[..., 2], ramp[..., 1] = 2 * np.arange(width)[None], 2 * np.arange(height)[:, None]
    step = AugmentMultiViewImages(final_dim=final_dim, **PLAIN)
    for _ in range(6):
        results = _run(step, [[_reduce(ramp, reduction)]], reduction)
        v, u = np.mgrid[: final_dim[0], : final_dim[1]]
        source = _unmap(results, np.stack([u, v], axis=-1).reshape(-1, 2).astype(float)).T.reshape(2, *final_dim)
        inside = (source > 6).all(0) & (source[0] < width - 7) & (source[1] < height - 7)
        assert inside.sum() > 300
        error = results['img'][0, 0, :2][:, inside] / 2 - source[:, inside]
        # not zero: positions on a 1/32 px grid make many halves of grey levels, which are all rounded up
        assert np.abs(error.mean(axis=1)).max() < 0.08
        assert np.abs(error).max() < 0.5


def test_matrix_is_resize_crop_flip_rotate_in_turn():
    """Hand-computed: 8x10 image doubled to 16x20, cropped to 6x12 at (3, 10), mirrored, turned by 90 degrees."""
    aug = ImageAug(resize=2.0, crop=(3.0, 10.0))
    point = np.array([4.0, 6.0, 1.0])
    # resize: 2 * (u + .5) - .5 = 8.5, 12.5; crop: 5.5, 2.5
    np.testing.assert_allclose(aug.matrix((6, 12)) @ point, [5.5, 2.5, 1.0])
    flipped = ImageAug(2.0, (3.0, 10.0), flip=True)
    np.testing.assert_allclose(flipped.matrix((6, 12)) @ point, [11 - 5.5, 2.5, 1.0])
    turned = ImageAug(2.0, (3.0, 10.0), flip=True, rotate=math.pi / 2)
    # about the centre (5.5, 2.5): offset (0, 0) stays
    np.testing.assert_allclose(turned.matrix((6, 12)) @ point, [5.5, 2.5, 1.0])
    # a source point one source px further right is two px left after the flip, two px up after the quarter turn
    np.testing.assert_allclose(turned.matrix((6, 12)) @ [5.0, 6.0, 1.0], [5.5, 0.5, 1.0], atol=1e-12)


def test_resizing_keeps_the_image_borders():
    """Width W spans [-0.5, W - 0.5] before and after."""
    for scale in (0.44, 2.0):
        np.testing.assert_allclose(resize_matrix(scale) @ [-0.5, -0.5, 1], [-0.5, -0.5, 1])
        np.testing.assert_allclose(resize_matrix(scale) @ [99.5, 49.5, 1], [100 * scale - 0.5, 50 * scale - 0.5, 1])


def test_ranges_of_the_draws():
    step = AugmentMultiViewImages(final_dim=(256, 704), **PLAIN)
    image = np.zeros((900, 1600, 3), np.uint8)
    scales, angles, flips = [], [], []
    for _ in range(150):
        matrix = step._draw_matrix(image.shape[:2], 1)[:2, :2]
        flip = np.linalg.det(matrix) < 0
        scale = math.sqrt(abs(np.linalg.det(matrix)))
        unflipped = matrix / scale @ np.diag([-1.0 if flip else 1.0, 1.0])
        scales.append(scale)
        flips.append(flip)
        angles.append(math.degrees(math.atan2(unflipped[1, 0], unflipped[0, 0])))
    assert 0.38 <= min(scales) < 0.40 and 0.53 < max(scales) <= 0.55
    assert -5.4 <= min(angles) < -4.5 and 4.5 < max(angles) <= 5.4
    assert 0.3 < np.mean(flips) < 0.7


def test_test_mode_is_a_fixed_centred_crop_of_the_bottom():
    step = AugmentMultiViewImages(final_dim=(256, 704), test_mode=True, **PLAIN)
    image = np.zeros((900, 1600, 3), np.uint8)
    results = _run(step, [[image, image]])
    scale = 0.44 + 0.04
    np.testing.assert_allclose(results['post_rots'][0, 1], np.diag([scale, scale, 1]))
    # resized to 768x432, crop at left (768 - 704) / 2 = 32 and top 432 - 256 = 176; + half px of the resize
    offset = 0.5 * scale - 0.5
    np.testing.assert_allclose(results['post_trans'][0, 1], [offset - 32, offset - 176, 0])
    # the bottom edge of the picture is the bottom edge of the crop
    np.testing.assert_allclose(_map(results, np.array([[799.5, 899.5]])), [[351.5, 255.5]])


def test_cameras_differ_and_frames_agree():
    step = AugmentMultiViewImages(final_dim=(96, 256))
    image = np.zeros((225, 400, 3), np.uint8)
    results = _run(step, [[image] * 3] * 2)
    assert results['img'].shape == (2, 3, 3, 96, 256) and results['img'].dtype == np.float32
    assert results['post_rots'].shape == (2, 3, 3, 3) and results['post_trans'].shape == (2, 3, 3)
    np.testing.assert_array_equal(results['post_rots'][0], results['post_rots'][1])
    np.testing.assert_array_equal(results['post_trans'][0], results['post_trans'][1])
    assert not np.allclose(results['post_rots'][0, 0], results['post_rots'][0, 1])
    assert 'images' not in results and 'image_reduction' not in results


def test_normalisation_is_rgb_and_black_outside():
    step = AugmentMultiViewImages(final_dim=(8, 8), resize_range=(0, 0), rot_range=(0, 0), flip_prob=0)
    image = np.full((4, 8, 3), (10, 20, 30), np.uint8)  # blue, green, red; only the lower half of the crop is filled
    img = _run(step, [[image]])['img'][0, 0]
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    np.testing.assert_allclose(img[:, 7, 4], (np.array([30, 20, 10]) - mean) / std, rtol=1e-6)
    np.testing.assert_allclose(img[:, 0, 4], -mean / std, rtol=1e-6)


def test_shrinking_averages_instead_of_skipping_pixels():
    """One-pixel stripes become grey at a quarter of the size; plain bilinear sampling would keep them or lose them."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    step = AugmentMultiViewImages(final_dim=(16, 16), resize_range=(0, 0), rot_range=(0, 0), flip_prob=0, **PLAIN)
    np.testing.assert_allclose(_run(step, [[stripes]])['img'], 100, atol=1)


def _warped_as_a_whole(image, matrix, final_dim):
    """Independent of what the result shows: the whole image is shrunk, then sampled."""
    shrink = max(1, int(1 / math.sqrt(abs(np.linalg.det(matrix[:2, :2]))) + 1e-6))
    height, width = (side // shrink for side in image.shape[:2])
    boxes = image[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink, 3)
    small = np.floor(boxes.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    matrix = (matrix @ resize_matrix(shrink))[:2]
    return cv2.warpAffine(small, matrix, final_dim[::-1], flags=cv2.INTER_LINEAR)[..., ::-1].transpose(2, 0, 1)


@pytest.mark.parametrize('final_dim', [(256, 704), (64, 176), (40, 300)])
def test_what_the_result_does_not_show_changes_no_pixel(final_dim):
    """Shrinking by 1 (some draws of the first), 2 and 9; the last crop is wider than the picture is."""
    image = np.random.default_rng(1).integers(0, 256, (450, 801, 3), dtype=np.uint8)
    step = AugmentMultiViewImages(final_dim=final_dim, rot_range=(-30, 30), **PLAIN)
    for _ in range(6):
        results = _run(step, [[image]])
        matrix = results['post_rots'][0, 0].copy()
        matrix[:2, 2] = results['post_trans'][0, 0, :2]
        expected = _warped_as_a_whole(image, matrix, final_dim).astype(int)
        difference = np.abs(results['img'][0, 0] - expected)
        # a place within rounding of the middle between two of the sampler's steps of 1/32 px may go either way
        assert difference.max() <= 9 and (difference > 1).mean() < 1e-4
        assert results['img'].std() > 10


def test_seen_part_by_hand():
    """An image of 100 x 200 shown from (20, 30) on, in half its size, by a result of 10 x 16."""
    matrix = np.array([[0.5, 0, -10], [0, 0.5, -15], [0, 0, 1]])
    # columns 20..50, rows 30..48, then one pixel on either side for rounding and one for the right neighbour
    assert seen_part(matrix, (10, 16), (100, 200)) == (slice(29, 50), slice(19, 52))
    assert seen_part(matrix, (10, 16), (40, 45)) == (slice(29, 40), slice(19, 45))
    beside = np.array([[1.0, 0, 500], [0, 1, -500], [0, 0, 1]])
    assert seen_part(beside, (10, 16), (100, 200)) == (slice(99, 100), slice(0, 1))


def test_a_result_that_shows_nothing_of_the_image_is_black():
    step = AugmentMultiViewImages(final_dim=(8, 8), **PLAIN)
    out = np.full((3, 8, 8), 7, dtype=np.float32)
    step._render(np.full((20, 20, 3), 200, np.uint8), np.array([[1.0, 0, 500], [0, 1, 0], [0, 0, 1]]), out)
    assert not out.any()


def test_uint8_images_are_what_is_normalised_otherwise():
    image = np.random.default_rng(2).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    random.seed(5)
    floats = _run(AugmentMultiViewImages(final_dim=(32, 64)), [[image, image]])
    random.seed(5)
    whole = _run(AugmentMultiViewImages(final_dim=(32, 64), as_uint8=True), [[image, image]])
    assert whole['img'].dtype == np.uint8 and 'img_norm_cfg' not in floats
    norm = whole['img_norm_cfg']
    assert norm['to_rgb'] and norm['mean'] == (123.675, 116.28, 103.53) and norm['std'] == (58.395, 57.12, 57.375)
    mean, std = (np.array(norm[key])[:, None, None] for key in ('mean', 'std'))
    np.testing.assert_allclose((whole['img'] - mean) / std, floats['img'], atol=1e-6)


def test_seed_repeats_and_input_stays():
    image = np.random.default_rng(0).integers(0, 255, (225, 400, 3), dtype=np.uint8)
    before = image.copy()
    step = AugmentMultiViewImages(final_dim=(96, 256))
    runs = []
    for _ in range(2):
        random.seed(11)
        runs.append(_run(step, [[image, image]])['img'])
    np.testing.assert_array_equal(*runs)
    assert not np.array_equal(_run(step, [[image, image]])['img'], runs[0])
    np.testing.assert_array_equal(image, before)


def test_errors():
    small, large = np.zeros((50, 80, 3), np.uint8), np.zeros((100, 160, 3), np.uint8)
    with pytest.raises(ValueError, match='camera 1: image sizes differ between frames'):
        _run(AugmentMultiViewImages(final_dim=(32, 64)), [[small, small], [small, large]])
    with pytest.raises(ValueError, match='final_dim'):
        AugmentMultiViewImages(final_dim=(32, 64, 3))
    with pytest.raises(TypeError):
        AugmentMultiViewImages(final_dim=(32, 64), flip=True)
