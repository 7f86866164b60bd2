"""Images of a moment: what is taken, and what is refused by name."""

import numpy as np
import pytest

from dualdistill_runtime.frame import Frame
from dualdistill_runtime.image_input import ImageInput

CAMERAS = ['CAM_FRONT', 'CAM_BACK']
NORM = dict(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
CROP = dict(kind='resize_crop', decode_reduction=2, final_dim=[8, 16], test_resize=0.0, **NORM)
WHOLE = dict(kind='whole', decode_reduction=1, to_rgb=False, size_divisor=4, scale=0.5, **NORM)


def frame(**images):
    eyes = {name: np.eye(4) for name in images}
    return Frame(images, {name: np.eye(3) for name in images}, eyes, np.eye(4), 0.0, token='now')


def bgr(height=8, width=16, dtype=np.uint8):
    return np.broadcast_to(np.array([10, 20, 30], dtype), (height, width, 3)).copy()


def test_arrays_are_read_as_they_are():
    """Whatever ``decode_reduction`` says, which is for files; the planes are red, green, blue."""
    found, rig = ImageInput(CROP, CAMERAS, (8, 16))(frame(CAM_BACK=bgr(16, 32), CAM_FRONT=bgr()))
    assert found.shape == (2, 3, 8, 16)
    np.testing.assert_allclose(found[0], np.array([30, 20, 10])[:, None, None] * np.ones((3, 8, 16)))
    np.testing.assert_allclose(rig.post_rots[:, 0, 0], [1.0, 0.5])


@pytest.mark.parametrize(
    'image', [bgr()[..., 0], bgr()[..., :1], np.zeros((8, 16, 4), np.uint8), bgr(dtype=np.uint16), bgr(dtype=float)],
    ids=['grey', 'one channel', 'four channels', 'uint16', 'float64'],
)  # fmt: skip
@pytest.mark.parametrize('recipe', [CROP, WHOLE], ids=['crop', 'whole'])
def test_what_is_no_bgr_image_is_named(recipe, image):
    with pytest.raises(ValueError, match=r'frame now: the image of CAM_BACK is \(8, 16.*a student reads BGR'):
        ImageInput(recipe, CAMERAS, (8, 16))(frame(CAM_FRONT=bgr(), CAM_BACK=image))


def test_arrays_and_paths_do_not_mix():
    with pytest.raises(ValueError, match='frame now: CAM_BACK is an array and CAM_FRONT a path'):
        ImageInput(CROP, CAMERAS, (8, 16))(frame(CAM_FRONT='front.jpg', CAM_BACK=bgr()))


def test_a_missing_camera_is_named():
    with pytest.raises(ValueError, match='frame now: no image of CAM_BACK'):
        ImageInput(CROP, CAMERAS, (8, 16))(frame(CAM_FRONT=bgr()))


def test_whole_images_come_in_the_size_of_the_largest():
    """And the advice for another export names it."""
    given = frame(CAM_FRONT=bgr(8, 16), CAM_BACK=bgr(6, 24))
    found, _ = ImageInput(WHOLE, CAMERAS, (4, 12))(given)
    assert found.shape == (2, 3, 4, 12) and (found[0, 0, :, :8] == 10).all() and not found[0, :, :, 8:].any()
    with pytest.raises(ValueError, match=r'come out as \(4, 12\).* exported for \(8, 8\).*--camera-size 8 24'):
        ImageInput(WHOLE, CAMERAS, (8, 8))(given)
