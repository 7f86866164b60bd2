"""Normalised planes are mmcv's."""

import mmcv
import numpy as np
import pytest

from dualdistill_runtime.channel_norm import ChannelNorm

MEAN, STD = np.array([103.53, 116.28, 123.675]), np.array([57.375, 57.12, 58.395])


@pytest.mark.parametrize('to_rgb', [True, False])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_equal_to_mmcv_within_a_larger_canvas(to_rgb, dtype):
    image = np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype(dtype)
    if dtype == np.float32:
        image = image * 1.3 - np.float32(20)  # as distorted colours are, beyond 0..255
    before, canvas = image.copy(), np.full((3, 24, 40), 5, dtype=np.float32)
    ChannelNorm(MEAN, STD, to_rgb).write(image, canvas[:, :20, :31])
    expected = mmcv.imnormalize(image, MEAN, STD, to_rgb).transpose(2, 0, 1)
    np.testing.assert_allclose(canvas[:, :20, :31], expected, rtol=0, atol=1e-6)
    assert (canvas[:, 20:] == 5).all() and (canvas[:, :, 31:] == 5).all()
    np.testing.assert_array_equal(image, before)
