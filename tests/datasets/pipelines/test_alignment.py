"""Cameras, LiDAR and boxes after all augmentation, against the devkit's own geometry: to a pixel and a millimetre.

The reference goes from the tables by the devkit's route (sensor -> ego at its own time -> global -> ...), in float64.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import nuscenes_batch
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import view_points
from pyquaternion import Quaternion

WIDE = (-300.0, -300.0, -50.0, 300.0, 300.0, 50.0)  # so that no filter removes a box or a point
PIXEL, MILLIMETRE = 0.1, 1e-3
NUM_DRAWS = 3


@pytest.fixture(scope='module', params=['real_root', 'tiny_nuscenes'])
def scene(request, tmp_path_factory):
    """Tables, formatted training samples (several augmentation draws of several keyframes) and unaugmented boxes."""
    root = request.getfixturevalue(request.param)
    nusc = nuscenes_batch.load_tables(root)
    ann_file = nuscenes_batch.write_infos(nusc, tmp_path_factory.mktemp('infos'))
    final_dim = (256, 704) if request.param == 'real_root' else (96, 256)
    pipeline, _ = nuscenes_batch.distill_pipelines(final_dim, point_cloud_range=WIDE, depth_downsample=8)
    dataset = nuscenes_batch.build(root, ann_file, pipeline)
    # the last keyframes of a scene have previous frames
    indices = sorted({len(dataset) - 1, len(dataset) // 2})
    samples = [(index, dataset[index]) for index in indices for _ in range(NUM_DRAWS)]
    return SimpleNamespace(nusc=nusc, dataset=dataset, samples=samples, real=request.param == 'real_root')


def _arrays(sample):
    keys = ('intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur', 'bev_aug')
    return SimpleNamespace(**{key: sample[key].data.double().numpy() for key in keys})


def _apply(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _to_global(nusc, sample_data, points):
    mount = nusc.get('calibrated_sensor', sample_data['calibrated_sensor_token'])
    pose = nusc.get('ego_pose', sample_data['ego_pose_token'])
    points = points @ Quaternion(mount['rotation']).rotation_matrix.T + mount['translation']
    return points @ Quaternion(pose['rotation']).rotation_matrix.T + pose['translation']


def _from_global(nusc, sample_data, points):
    mount = nusc.get('calibrated_sensor', sample_data['calibrated_sensor_token'])
    pose = nusc.get('ego_pose', sample_data['ego_pose_token'])
    points = (points - pose['translation']) @ Quaternion(pose['rotation']).rotation_matrix
    return (points - mount['translation']) @ Quaternion(mount['rotation']).rotation_matrix


def _records_by_file(nusc):
    return {record['filename']: record for record in nusc.sample_data}


def _camera_records(scene, sample, frame):
    by_file = _records_by_file(scene.nusc)
    root = str(scene.nusc.dataroot).rstrip('/') + '/'
    return [by_file[path.replace(root, '')] for path in sample['img_metas'].data['img_filenames'][frame]]


def _reference_pixels(scene, record, points_global, arrays, frame, camera):
    """Global points -> augmented pixels and depth by the devkit's route and the image augmentation."""
    in_camera = _from_global(scene.nusc, record, points_global)
    mount = scene.nusc.get('calibrated_sensor', record['calibrated_sensor_token'])
    with np.errstate(divide='ignore', invalid='ignore'):
        uv1 = view_points(in_camera.T, np.array(mount['camera_intrinsic']), normalize=True).T
    uv = uv1 @ arrays.post_rots[frame, camera].T + arrays.post_trans[frame, camera]
    return uv[:, :2], in_camera[:, 2]


def _pixels(points_bev, arrays, frame, camera):
    """Points of the current augmented BEV frame -> augmented pixels and depth, from the batch alone."""
    to_camera = np.linalg.inv(arrays.frame2cur[frame] @ arrays.bev_aug @ arrays.cam2lidar[frame, camera])
    in_camera = _apply(to_camera, points_bev)
    uv1 = in_camera @ arrays.intrins[frame, camera].T
    uv1 = uv1 / uv1[:, 2:]
    uv = uv1 @ arrays.post_rots[frame, camera].T + arrays.post_trans[frame, camera]
    return uv[:, :2], in_camera[:, 2]


def _annotations(scene, sample):
    """Devkit boxes, global and in the LiDAR frame, of the annotations that the pipeline keeps, in its order."""
    record = scene.nusc.get('sample', sample['img_metas'].data['sample_idx'])
    lidar = record['data']['LIDAR_TOP']
    _, boxes, _ = scene.nusc.get_sample_data(lidar)
    info = scene.dataset.data_infos[
        next(i for i in range(len(scene.dataset)) if scene.dataset.data_infos[i]['token'] == record['token'])
    ]
    keep = [
        i for i, name in enumerate(info['gt_names']) if name in scene.dataset.CLASSES and info['num_lidar_pts'][i] > 0
    ]
    in_global = scene.nusc.get_boxes(lidar)
    return [boxes[i] for i in keep], [in_global[i] for i in keep], scene.nusc.get('sample_data', lidar)


def _inside_image(uv, depth, shape, margin=0):
    height, width = shape[-2:]
    inside = (uv > -0.5 - margin).all(axis=1) & (uv[:, 0] < width + margin) & (uv[:, 1] < height + margin)
    return inside & (depth > 1)


def _upright_corners(boxes):
    """(K, 8, 3) from bottom-centre boxes, by plain trigonometry."""
    boxes = boxes.astype(np.float64)
    signs = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0, 1)])
    local = signs[None] * boxes[:, None, 3:6]
    cos, sin = np.cos(boxes[:, 6:7]), np.sin(boxes[:, 6:7])
    turned = np.stack(
        [cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1], local[..., 2]], axis=-1
    )
    return turned + boxes[:, None, :3]


def _inside_box(points, box, margin):
    """Points inside a bottom-centre box made larger by ``margin`` on every side."""
    local = points - box[:3]
    cos, sin = np.cos(box[6]), np.sin(box[6])
    x, y = cos * local[:, 0] + sin * local[:, 1], -sin * local[:, 0] + cos * local[:, 1]
    z = local[:, 2]
    return (
        (np.abs(x) <= box[3] / 2 + margin)
        & (np.abs(y) <= box[4] / 2 + margin)
        & (z >= -margin)
        & (z <= box[5] + margin)
    )


def _keyframe_points(scene, lidar):
    return LidarPointCloud.from_file(f'{scene.nusc.dataroot}/{lidar["filename"]}').points[:3].T.astype(np.float64)


def test_boxes_and_points_agree_to_a_millimetre(scene):
    boxes_seen = 0
    for _, sample in scene.samples:
        in_lidar, _, lidar = _annotations(scene, sample)
        matrix = _arrays(sample).bev_aug
        got = sample['gt_bboxes_3d'].data
        assert len(got) == len(in_lidar) > 0
        centres = np.array([box.center for box in in_lidar])
        np.testing.assert_allclose(got.gravity_center, _apply(matrix, centres), atol=MILLIMETRE)
        headings = np.array([box.rotation_matrix[:2, 0] for box in in_lidar]) @ matrix[:2, :2].T
        yaw_error = np.arctan2(headings[:, 1], headings[:, 0]) - got.yaw.numpy()
        np.testing.assert_allclose(np.cos(yaw_error), 1, atol=1e-8)
        raw = _keyframe_points(scene, lidar)
        points = sample['points'].data.double().numpy()
        # the keyframe comes first, in its own order, at time 0
        np.testing.assert_allclose(points[: len(raw), :3], _apply(matrix, raw), atol=MILLIMETRE)
        assert not points[: len(raw), 4].any()
        boxes_seen += len(got)
    assert boxes_seen > 20


def test_velocities_are_those_of_the_tables(scene):
    moving = 0
    for _, sample in scene.samples:
        _, in_global, lidar = _annotations(scene, sample)
        velocity = np.array([scene.nusc.box_velocity(box.token) for box in in_global])
        velocity[:, 2] = 0
        known = ~np.isnan(velocity[:, 0])
        # a direction, so only the rotations count: the difference of two global points
        origin = np.zeros_like(velocity)
        in_lidar = _from_global(scene.nusc, lidar, velocity) - _from_global(scene.nusc, lidar, origin)
        expected = np.where(known[:, None], in_lidar[:, :2], np.nan) @ _arrays(sample).bev_aug[:2, :2].T
        np.testing.assert_allclose(sample['gt_bboxes_3d'].data.tensor[:, 7:9], expected, atol=1e-4)
        moving += (np.linalg.norm(expected, axis=1) > 0.5).sum()
    assert scene.real or moving > 5


@pytest.mark.parametrize('frame', [0, 1])
def test_box_centres_land_on_the_devkits_pixels_in_both_frames(scene, frame):
    """A place in the world, here each box's centre, seen by both frames' cameras: the world stands still."""
    seen = 0
    for _, sample in scene.samples:
        arrays = _arrays(sample)
        _, in_global, _ = _annotations(scene, sample)
        centres = sample['gt_bboxes_3d'].data.gravity_center.double().numpy()
        for camera, record in enumerate(_camera_records(scene, sample, frame)):
            places = np.array([box.center for box in in_global])
            expected, depth = _reference_pixels(scene, record, places, arrays, frame, camera)
            got, got_depth = _pixels(centres, arrays, frame, camera)
            inside = _inside_image(expected, depth, sample['img'].data.shape)
            np.testing.assert_allclose(got[inside], expected[inside], atol=PIXEL)
            np.testing.assert_allclose(got_depth[inside], depth[inside], atol=0.01)
            seen += inside.sum()
    assert seen > 20


def test_the_previous_frame_is_another_one(scene):
    for _, sample in scene.samples:
        names = sample['img_metas'].data['img_filenames']
        frame_dt = sample['img_metas'].data['frame_dt']
        motion = _arrays(sample).frame2cur[1]
        if scene.real:  # a single keyframe has no predecessor
            assert names[0] == names[1] and frame_dt == 1 / 12
            np.testing.assert_allclose(motion, np.eye(4), atol=1e-6)
        else:
            assert not set(names[0]) & set(names[1]) and 0.1 < frame_dt <= 9 * 0.25 + 0.01
            assert np.linalg.norm(motion[:3, 3]) > 0.05


def test_box_corners_land_on_the_same_pixels(scene):
    seen = 0
    for index, sample in scene.samples:
        arrays = _arrays(sample)
        _, _, lidar = _annotations(scene, sample)
        plain = scene.dataset.get_ann_info(index)
        plain = plain['gt_bboxes_3d'].tensor[plain['gt_labels_3d'] >= 0].numpy()
        corners = _to_global(scene.nusc, lidar, _upright_corners(plain).reshape(-1, 3))
        moved = sample['gt_bboxes_3d'].data.corners.double().numpy().reshape(-1, 3)
        for camera, record in enumerate(_camera_records(scene, sample, 0)):
            expected, depth = _reference_pixels(scene, record, corners, arrays, 0, camera)
            got, _ = _pixels(moved, arrays, 0, camera)
            inside = _inside_image(expected, depth, sample['img'].data.shape).reshape(-1, 8)
            # a mirrored box numbers its corners differently: each must find one of the same box
            distance = np.linalg.norm(expected.reshape(-1, 8, 1, 2) - got.reshape(-1, 1, 8, 2), axis=-1).min(axis=2)
            assert (distance[inside] < PIXEL).all()
            seen += inside.sum()
    assert seen > 100


def test_points_stay_inside_their_boxes_and_on_their_pixels(scene):
    owned = 0
    for index, sample in scene.samples:
        arrays = _arrays(sample)
        _, _, lidar = _annotations(scene, sample)
        raw = _keyframe_points(scene, lidar)
        points = sample['points'].data.double().numpy()[: len(raw), :3]
        plain = scene.dataset.get_ann_info(index)
        plain = plain['gt_bboxes_3d'].tensor[plain['gt_labels_3d'] >= 0].double().numpy()
        moved = sample['gt_bboxes_3d'].data.tensor.double().numpy()
        members = np.zeros(len(raw), dtype=bool)
        for before, after in zip(plain, moved):
            assert not (_inside_box(raw, before, 0) & ~_inside_box(points, after, MILLIMETRE)).any()
            assert not (_inside_box(points, after, 0) & ~_inside_box(raw, before, MILLIMETRE)).any()
            members |= _inside_box(points, after, 0)
        owned += members.sum()
        places = _to_global(scene.nusc, lidar, raw[members])
        for camera, record in enumerate(_camera_records(scene, sample, 0)):
            expected, depth = _reference_pixels(scene, record, places, arrays, 0, camera)
            got, _ = _pixels(points[members], arrays, 0, camera)
            inside = _inside_image(expected, depth, sample['img'].data.shape)
            np.testing.assert_allclose(got[inside], expected[inside], atol=PIXEL)
    assert owned > 100


def test_depth_map_is_that_of_the_devkits_projection(scene):
    for _, sample in scene.samples[:2]:
        arrays = _arrays(sample)
        _, _, lidar = _annotations(scene, sample)
        places = _to_global(scene.nusc, lidar, _keyframe_points(scene, lidar))
        for camera, record in enumerate(_camera_records(scene, sample, 0)):
            uv, depth = _reference_pixels(scene, record, places, arrays, 0, camera)
            got = sample['gt_depth'].data[camera].numpy()
            expected = np.full(got.shape, np.inf)
            cell = np.floor((uv + 0.5) / 8)
            keep = (depth >= 1) & (depth < 60) & (cell >= 0).all(axis=1)
            keep &= (cell[:, 0] < got.shape[1]) & (cell[:, 1] < got.shape[0])
            col, row = cell[keep].astype(int).T
            np.minimum.at(expected, (row, col), depth[keep])
            expected[np.isinf(expected)] = 0
            # a point within float noise of a cell border may fall on its other side
            assert (np.abs(got - expected) < 0.01).mean() > 0.995
            assert (got > 0).mean() > 0.05
