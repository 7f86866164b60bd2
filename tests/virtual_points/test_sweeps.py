"""Which sweeps and images belong together, and the transforms between them."""

import numpy as np

from mmdet3d_plugin.datasets.infos.nuscenes_infos import CAMERAS
from mmdet3d_plugin.virtual_points.sweeps import load_sweep, scene_tasks


def lidar_frames(nusc, scene):
    return [
        data
        for data in nusc.sample_data
        if data['channel'] == 'LIDAR_TOP' and nusc.get('sample', data['sample_token'])['scene_token'] == scene['token']
    ]


def test_every_sweep_once_in_order_of_time_with_its_nearest_images(nusc):
    scene = nusc.scene[1]
    tasks = scene_tasks(nusc, scene, 0.1)
    frames = sorted(lidar_frames(nusc, scene), key=lambda data: data['timestamp'])
    assert [task.lidar for task in tasks] == [data['token'] for data in frames]
    assert sum(data['is_key_frame'] for data in frames) == 4 < len(frames)
    for task, data in zip(tasks, frames):
        assert len(task.cameras) + task.far_images == 6
        for token in task.cameras:
            image = nusc.get('sample_data', token)
            gap = abs(image['timestamp'] - data['timestamp'])
            others = [
                other['timestamp']
                for other in nusc.sample_data
                if other['channel'] == image['channel']
                and nusc.get('sample', other['sample_token'])['scene_token'] == scene['token']
            ]
            assert gap == min(abs(time - data['timestamp']) for time in others) <= 1e5


def test_images_too_far_in_time_are_left_out(nusc):
    tasks = scene_tasks(nusc, nusc.scene[0], 0.01)
    gaps = [
        abs(nusc.get('sample_data', token)['timestamp'] - nusc.get('sample_data', task.lidar)['timestamp'])
        for task in tasks
        for token in task.cameras
    ]
    assert 0 < len(gaps) < 6 * len(tasks) and max(gaps) <= 1e4
    assert sum(task.far_images for task in tasks) == 6 * len(tasks) - len(gaps)


def test_a_static_point_keeps_its_place_in_the_world(nusc):
    """The devkit's own chain of frames, LiDAR at its time -> global -> camera at its time, on a sweep while driving."""
    task = scene_tasks(nusc, nusc.scene[0], 0.1)[7]
    sweep = load_sweep(nusc, task)
    assert [image.channel for image in sweep.images] == [name for name in CAMERAS if name in {
        image.channel for image in sweep.images}]  # fmt: skip
    point = np.array([3.0, 12.0, -1.0])
    lidar = nusc.get('sample_data', task.lidar)
    world = chain(nusc, lidar, point, forward=True)
    moved = 0.0
    for image, token in zip(sweep.images, task.cameras):
        camera = chain(nusc, nusc.get('sample_data', token), world, forward=False)
        np.testing.assert_allclose(image.lidar_to_camera @ [*point, 1], [*camera, 1], atol=1e-6)
        ego = nusc.get('ego_pose', lidar['ego_pose_token']), nusc.get('ego_pose', image_pose(nusc, token))
        moved = max(moved, np.linalg.norm(np.subtract(ego[0]['translation'], ego[1]['translation'])))
    assert moved > 0.02, 'the car moved between sweep and images, so the compensation was tested'


def image_pose(nusc, token):
    return nusc.get('sample_data', token)['ego_pose_token']


def chain(nusc, data, point, forward):
    """Point from the sensor's frame to the global frame, or back, by the devkit's quaternions."""
    from pyquaternion import Quaternion

    places = [
        nusc.get('calibrated_sensor', data['calibrated_sensor_token']),
        nusc.get('ego_pose', data['ego_pose_token']),
    ]
    for place in places if forward else places[::-1]:
        rotation, shift = Quaternion(place['rotation']), np.array(place['translation'])
        point = rotation.rotate(point) + shift if forward else rotation.inverse.rotate(point - shift)
    return point
