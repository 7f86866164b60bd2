"""Projection, clipping behind the camera, and the mosaic."""

import numpy as np
import pytest

from mmdet3d_plugin.structures.boxes import Boxes
from mmdet3d_plugin.structures.poses import lidar_to_camera, project
from mmdet3d_plugin.visualization.camera import box_segments, clip_to_front, draw_boxes, mosaic, resize_with_intrinsic
from mmdet3d_plugin.visualization.palette import BACKGROUND
from mmdet3d_plugin.visualization.sheet import draw_sheet

INTRINSIC = np.array([[100.0, 0, 80], [0, 100.0, 45], [0, 0, 1]])
# A camera at the LiDAR origin looking along y: camera x = LiDAR x, camera y = -z, camera z = LiDAR y.
CAMERA = dict(
    sensor2lidar_rotation=np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    sensor2lidar_translation=np.zeros(3),
    cam_intrinsic=INTRINSIC,
)
TRANSFORM = lidar_to_camera(CAMERA)


def box(x, y, z=0.0, length=2.0):
    return np.array([[x, y, z, length, 2.0, 2.0, 0.0]])


def test_lidar_to_camera_inverts_the_mount():
    camera = dict(CAMERA, sensor2lidar_translation=np.array([0.5, 1.0, -0.3]))
    point = np.array([3.0, 11.0, 0.7, 1.0])
    np.testing.assert_allclose(lidar_to_camera(camera) @ point, [2.5, -1.0, 10.0, 1.0])


def test_corner_lands_on_its_pixel():
    segments, owners = box_segments(box(1.0, 11.0), TRANSFORM, INTRINSIC)
    assert segments.shape == (12, 2, 2) and (owners == 0).all()
    # Corner (2, 10, 1): u = 80 + 100 * 2 / 10, v = 45 - 100 * 1 / 10
    assert np.isclose(segments, [100.0, 35.0]).all(axis=-1).any()
    assert np.isclose(segments, [80.0, 45.0 + 100 / 12]).all(axis=-1).any()  # corner (0, 12, -1)


def test_box_behind_is_not_drawn():
    segments, owners = box_segments(box(0.0, -5.0), TRANSFORM, INTRINSIC)
    assert len(segments) == len(owners) == 0
    image = np.zeros((90, 160, 3), dtype=np.uint8)
    assert not draw_boxes(image, Boxes(box(0.0, -5.0), ['car']), [(255, 0, 0)], TRANSFORM, INTRINSIC).any()


def test_segment_is_cut_at_the_near_plane():
    segments = np.array([[[0.0, 0, -1], [4, 2, 3]], [[0, 0, 1], [0, 0, 2]], [[0, 0, -1], [0, 0, -2]]])
    clipped, index = clip_to_front(segments, near=1.0)
    np.testing.assert_allclose(clipped, [[[2, 1, 1], [4, 2, 3]], [[0, 0, 1], [0, 0, 2]]])
    assert index.tolist() == [0, 1]
    np.testing.assert_allclose(clip_to_front(segments[:, ::-1], near=1.0)[0][0], [[4, 2, 3], [2, 1, 1]])
    assert segments[0, 0, 2] == -1  # the input stays


def test_box_around_the_camera_plane_is_cut_not_mirrored():
    """A long box beside the camera reaching behind it: its visible edges run off to the right, never to the left."""
    beside = np.array([[5.0, 0.0, 0.0, 2.0, 20.0, 2.0, 0.0]])  # x 4..6, y -10..10
    segments, _ = box_segments(beside, TRANSFORM, INTRINSIC)
    assert len(segments) == 4 + 4  # far face, and the four long edges cut at the near plane; the near face is gone
    assert (segments[..., 0] > 80).all()
    image = np.zeros((90, 160, 3), dtype=np.uint8)
    drawn = draw_boxes(image, Boxes(beside, ['car']), [(255, 0, 0)], TRANSFORM, INTRINSIC)
    assert drawn[:, 100:].any() and not drawn[:, :100].any()


def test_draw_uses_the_colour_and_copies():
    image = np.zeros((90, 160, 3), dtype=np.uint8)
    drawn = draw_boxes(image, Boxes(box(0.0, 11.0), ['car']), [(10, 200, 30)], TRANSFORM, INTRINSIC)
    assert not image.any()
    # Middle of the near face's upper edge (z = 1, y = 10); smoothing takes a tenth of the colour.
    np.testing.assert_allclose(drawn[35, 80], [10, 200, 30], rtol=0.15)
    assert not drawn[:25].any()


def test_project_is_a_pinhole():
    np.testing.assert_allclose(project(np.array([[1.0, -2.0, 4.0]]), INTRINSIC), [[105.0, -5.0]])


def test_resizing_keeps_the_picture_of_a_point():
    image = np.zeros((90, 160, 3), dtype=np.uint8)
    small, intrinsic = resize_with_intrinsic(image, INTRINSIC, 80)
    assert small.shape == (45, 80, 3)
    point = np.array([1.0, 2.0, 5.0])
    np.testing.assert_allclose(project(point, intrinsic), project(point, INTRINSIC) / 2)
    np.testing.assert_allclose(INTRINSIC[0], [100, 0, 80])


def six(shape=(9, 16, 3)):
    names = ['FRONT', 'FRONT_LEFT', 'FRONT_RIGHT', 'BACK', 'BACK_LEFT', 'BACK_RIGHT']
    return {f'CAM_{name}': np.full(shape, number, dtype=np.uint8) for number, name in enumerate(names)}


def test_mosaic_places_the_cameras():
    image = mosaic(six(), gap=2)
    assert image.shape == (20, 52, 3)
    assert image[0, [0, 20, 40], 0].tolist() == [1, 0, 2]
    assert image[-1, [0, 20, 40], 0].tolist() == [4, 3, 5]


def test_mosaic_of_other_cameras_fills_two_rows_in_their_order():
    names = ['CAM_FRONT', 'CAM_LEFT', 'CAM_RIGHT', 'CAM_BACK', 'CAM_TOP']
    images = {name: np.full((9, 16, 3), number, dtype=np.uint8) for number, name in enumerate(names)}
    image = mosaic(images, gap=2)
    assert image.shape == (20, 52, 3)
    assert image[0, [0, 20, 40], 0].tolist() == [0, 1, 2]
    assert image[-1, [0, 20], 0].tolist() == [3, 4] and image[-1, 40].tolist() == list(BACKGROUND)
    assert mosaic({'CAM_FRONT': images['CAM_FRONT']}).shape == (9, 16, 3)


def test_mosaic_of_unequal_images_has_places_of_the_largest_size():
    images = six()
    images['CAM_FRONT_LEFT'] = np.full((3, 20, 3), 7, dtype=np.uint8)
    image = mosaic(images, gap=2)
    assert image.shape == (20, 64, 3)
    assert image[2, 19, 0] == 7 and image[3, 19].tolist() == list(BACKGROUND)
    assert image[-1, [0, 22, 44], 0].tolist() == [4, 3, 5]
    with pytest.raises(ValueError, match='at least one image'):
        mosaic({})


def test_sheet_has_a_row_for_each_model():
    cameras = {name: (image, CAMERA) for name, image in six((90, 160, 3)).items()}
    truth, none = Boxes(box(1.0, 11.0), ['car']), Boxes(np.zeros((0, 7)), [], np.zeros(0))
    found = Boxes(box(1.0, 11.0), ['car'], np.array([0.9]))
    models = {'student': none, 'distilled': found}
    args = (truth, np.zeros((1, 5)), cameras, (-20, -20, 20, 20), 'title', 160)
    two, one = draw_sheet(models, *args), draw_sheet({'student': none}, *args)
    row = 2 * 90 + 4
    assert two.shape == (2 * 26 + 2 * (26 + row), row + 4 + 3 * 160 + 8, 3)
    assert two.shape[0] - one.shape[0] == 26 + row
    np.testing.assert_array_equal(two[: 2 * 26 + 26 + row], one)
    assert (two[-row:] != two[2 * 26 + 26 : 2 * 26 + 26 + row]).any()  # the second model found something
