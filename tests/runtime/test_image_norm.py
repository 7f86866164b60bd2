"""One account of how images are normalised, for pipelines, detectors and checkpoints."""

import pytest

from dualdistill_runtime.image_norm import ImageNorm
from mmdet3d_plugin.datasets.pipelines import NormalizePad


def test_words_tell_all_of_it_and_lists_are_tuples():
    assert str(ImageNorm()) == 'BGR, mean 103.53, 116.28, 123.675, std 1, 1, 1'
    other = ImageNorm(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
    assert str(other) == 'RGB, mean 123.675, 116.28, 103.53, std 58.395, 57.12, 57.375'
    assert other == ImageNorm((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), True) != ImageNorm()


def test_the_default_is_the_step_s():
    step = NormalizePad()
    assert ImageNorm(step.mean, step.std, step.to_rgb) == ImageNorm()


@pytest.mark.parametrize('options', [dict(mean=(1, 2)), dict(std=(1, 1, 1, 1)), dict(std=(1, 0, 1)), dict(std=())])
def test_numbers_that_cannot_serve_are_refused(options):
    with pytest.raises(ValueError, match='3 means and 3 positive stds'):
        ImageNorm(**options)
