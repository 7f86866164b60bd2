"""A nuScenes tree of hand-checkable numbers: all thirteen tables, empty sensor files, official scene names.

The ego drives straight at a constant speed, objects move with constant velocities, LiDAR frames are 50 ms and camera
frames 1/12 s apart, cameras fire up to 40 ms away from the LiDAR.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyquaternion import Quaternion

CAMERA_YAW = {  # rad, ego frame
    'CAM_FRONT': 0.0,
    'CAM_FRONT_RIGHT': -0.98,
    'CAM_FRONT_LEFT': 0.98,
    'CAM_BACK': np.pi,
    'CAM_BACK_LEFT': 1.9,
    'CAM_BACK_RIGHT': -1.9,
}
CAMERA_DELAY = dict(zip(CAMERA_YAW, (0.0, 0.02, -0.02, 0.04, -0.03, 0.03)))  # s
HEADING, SPEED = 0.7, 8.0  # rad, m/s, global frame
EGO_TILT = Quaternion(axis=[0, 1, 0], radians=0.02)
START = np.array([600.0, 1600.0, 0.0])
LIDAR_MOUNT = (
    [0.94, 0.0, 1.84],
    Quaternion(axis=[0, 0, 1], radians=-np.pi / 2) * Quaternion(axis=[1, 0, 0], radians=0.01),
)
DIRECTION = np.array([np.cos(HEADING), np.sin(HEADING), 0.0])


@dataclass(frozen=True)
class Thing:
    """Annotated object; offset (m, along and left of the ego's start) and velocity (m/s) in the heading's axes."""

    category: str
    offset: tuple
    velocity: tuple
    attribute: str = ''
    size: tuple = (1.9, 4.5, 1.6)  # w, l, h
    yaw: float = 0.4  # rad, global frame
    lidar_points: int = 7
    radar_points: int = 0
    last_keyframe: int = 99


# Attributes agree with the rule by which predictions get theirs, so that a perfect detector has no attribute error.
THINGS = (
    Thing('vehicle.car', (15, 3), (6, 0), 'vehicle.moving'),
    Thing('vehicle.car', (-9, -4), (0, 0), 'vehicle.parked', yaw=-2.5),
    Thing('vehicle.truck', (25, -5), (5, 1), 'vehicle.moving', size=(2.5, 7.0, 2.8)),
    Thing('vehicle.construction', (10, 12), (0, 0), 'vehicle.parked', size=(2.7, 6.0, 3.1)),
    Thing('vehicle.bus.rigid', (-20, 4), (0, 0), 'vehicle.stopped', size=(2.9, 11.0, 3.5), yaw=3.0),
    Thing('vehicle.trailer', (5, -12), (0, 0), 'vehicle.parked', size=(2.8, 12.0, 3.8)),
    Thing('movable_object.barrier', (8, 6), (0, 0), '', size=(2.5, 0.5, 1.0), yaw=1.2),
    Thing('vehicle.motorcycle', (14, -7), (4, -1), 'cycle.with_rider', size=(0.8, 2.1, 1.4)),
    Thing('vehicle.bicycle', (4, 9), (0, 0), 'cycle.without_rider', size=(0.6, 1.7, 1.3)),
    Thing('human.pedestrian.adult', (6, -3), (0, 1.4), 'pedestrian.moving', size=(0.7, 0.7, 1.7)),
    Thing('human.pedestrian.child', (7, 4), (0, 0), 'pedestrian.standing', size=(0.5, 0.5, 1.2), radar_points=1),
    Thing('movable_object.trafficcone', (9, 2), (0, 0), '', size=(0.4, 0.4, 1.0)),
    Thing('human.pedestrian.adult', (30, 8), (0, 0), 'pedestrian.standing', lidar_points=0),
    Thing('vehicle.car', (12, 20), (0, 0), 'vehicle.parked', lidar_points=0, radar_points=2),
    Thing('animal', (3, 2), (0, 0)),
    Thing('vehicle.car', (-5, 8), (0, 0), 'vehicle.parked', last_keyframe=0),
)
ATTRIBUTES = sorted({thing.attribute for thing in THINGS} - {''})


def ego_pose(scene_number, seconds):
    """Global ego pose: translation (3,), rotation."""
    shift = np.array([0.0, 300.0 * scene_number, 0.0])
    return START + shift + DIRECTION * SPEED * seconds, Quaternion(axis=[0, 0, 1], radians=HEADING) * EGO_TILT


def thing_state(thing, scene_number, seconds):
    """Global position and velocity of an object, each (3,)."""
    axes = np.array([DIRECTION[:2], [-DIRECTION[1], DIRECTION[0]]])
    velocity = np.append(np.array(thing.velocity, dtype=float) @ axes, 0.0)
    origin = ego_pose(scene_number, 0)[0] + np.append(np.array(thing.offset, dtype=float) @ axes, 0.8)
    return origin + velocity * seconds, velocity


class Tables:
    """Builds and writes the tree.

    Args:
        scenes (dict[str, int]): Scene name -> number of keyframes (0.5 s apart).
        version (str): nuScenes version.
        things (Sequence[Thing]): Objects of every scene.
        link_scenes (bool): Chain the sensor frames of successive scenes, which real tables do not, to show that
            nothing follows the chain over a scene's border.
        cameras (dict[str, float]): Camera name -> yaw (rad, ego frame).
    """

    def __init__(self, scenes, version='v1.0-mini', things=THINGS, link_scenes=False, cameras=CAMERA_YAW):
        self.version, self.things, self.cameras = version, things, cameras
        names = (
            'category attribute visibility instance sensor calibrated_sensor ego_pose log scene sample sample_data '
            'sample_annotation map'
        )
        self.tables = {name: [] for name in names.split()}
        self._add_static_tables()
        self._last_frame = {}
        for number, (name, keyframes) in enumerate(scenes.items()):
            if not link_scenes:
                self._last_frame = {}
            self._add_scene(number, name, keyframes)

    def _add(self, table, token, **record):
        self.tables[table].append(dict(token=token, **record))
        return token

    def _add_static_tables(self):
        for category in sorted({thing.category for thing in self.things}):
            self._add('category', f'category-{category}', name=category, description='')
        for attribute in ATTRIBUTES:
            self._add('attribute', f'attribute-{attribute}', name=attribute, description='')
        self._add('visibility', '4', level='v80-100', description='')
        self._add('log', 'log', logfile='log', vehicle='v', date_captured='2020-01-01', location='singapore-onenorth')
        self._add('map', 'map', log_tokens=['log'], category='semantic_prior', filename='maps/map.png')
        self._add_sensor('LIDAR_TOP', 'lidar', *LIDAR_MOUNT, intrinsic=[])
        for name, yaw in self.cameras.items():
            forward, left = np.array([np.cos(yaw), np.sin(yaw), 0]), np.array([-np.sin(yaw), np.cos(yaw), 0])
            rotation = Quaternion(matrix=np.stack([-left, [0, 0, -1], forward], axis=1))
            translation = (forward * 0.8 + [0.9, 0, 1.5]).tolist()
            intrinsic = [[1260.0, 0, 800], [0, 1260.0, 450], [0, 0, 1]]
            self._add_sensor(name, 'camera', translation, rotation, intrinsic)

    def _add_sensor(self, channel, modality, translation, rotation, intrinsic):
        sensor = self._add('sensor', f'sensor-{channel}', channel=channel, modality=modality)
        pose = dict(translation=translation, rotation=rotation.elements.tolist(), camera_intrinsic=intrinsic)
        self._add('calibrated_sensor', f'mount-{channel}', sensor_token=sensor, **pose)

    def _add_scene(self, number, name, keyframes):
        t0 = 1_600_000_000_000_000 + number * 100_000_000
        samples = [f'{name}-sample{k}' for k in range(keyframes)]
        self._add(
            'scene', name, name=name, description='', log_token='log', nbr_samples=keyframes,
            first_sample_token=samples[0], last_sample_token=samples[-1],
        )  # fmt: skip
        for k, token in enumerate(samples):
            links = dict(prev=samples[k - 1] if k else '', next=samples[k + 1] if k + 1 < keyframes else '')
            self._add('sample', token, timestamp=t0 + k * 500_000, scene_token=name, **links)
        self._add_frames('LIDAR_TOP', number, samples, t0, rate=20, delay=0.0)
        for camera in self.cameras:
            self._add_frames(camera, number, samples, t0, rate=12, delay=CAMERA_DELAY.get(camera, 0.01))
        for index, thing in enumerate(self.things):
            self._add_annotations(index, thing, number, name, samples)

    def _add_frames(self, channel, number, samples, t0, rate, delay):
        per_keyframe = rate // 2
        extension = 'pcd.bin' if channel == 'LIDAR_TOP' else 'jpg'
        previous = self._last_frame.get(channel)
        for i in range((len(samples) - 1) * per_keyframe + 1):
            seconds = i / rate + delay
            key, timestamp = i % per_keyframe == 0, t0 + round(seconds * 1e6)
            sample = samples[-(-i // per_keyframe)]  # a sweep belongs to the keyframe after it
            token = f'{channel}-{number}-{i}'
            translation, rotation = ego_pose(number, seconds)
            pose = dict(translation=translation.tolist(), rotation=rotation.elements.tolist())
            self._add('ego_pose', f'pose-{token}', timestamp=timestamp, **pose)
            self._add(
                'sample_data', token, sample_token=sample, ego_pose_token=f'pose-{token}',
                calibrated_sensor_token=f'mount-{channel}', timestamp=timestamp, fileformat=extension.split('.')[0],
                is_key_frame=key, height=900, width=1600, prev=previous['token'] if previous else '', next='',
                filename=f'{"samples" if key else "sweeps"}/{channel}/log__{channel}__{timestamp}.{extension}',
            )  # fmt: skip
            if previous:
                previous['next'] = token
            previous = self.tables['sample_data'][-1]
        self._last_frame[channel] = previous

    def _add_annotations(self, index, thing, number, scene, samples):
        seen = samples[: thing.last_keyframe + 1]
        instance = f'{scene}-instance{index}'
        tokens = [f'{instance}-{k}' for k in range(len(seen))]
        self._add(
            'instance', instance, category_token=f'category-{thing.category}', nbr_annotations=len(seen),
            first_annotation_token=tokens[0], last_annotation_token=tokens[-1],
        )  # fmt: skip
        for k, sample in enumerate(seen):
            position, _ = thing_state(thing, number, k * 0.5)
            self._add(
                'sample_annotation', tokens[k], sample_token=sample, instance_token=instance, visibility_token='4',
                attribute_tokens=[f'attribute-{thing.attribute}'] if thing.attribute else [],
                translation=position.tolist(), size=list(thing.size),
                rotation=Quaternion(axis=[0, 0, 1], radians=thing.yaw).elements.tolist(),
                prev=tokens[k - 1] if k else '', next=tokens[k + 1] if k + 1 < len(seen) else '',
                num_lidar_pts=thing.lidar_points, num_radar_pts=thing.radar_points,
            )  # fmt: skip

    def write(self, root):
        """Write tables and empty files; returns the root."""
        root = Path(root)
        (root / self.version).mkdir(parents=True, exist_ok=True)
        for name, records in self.tables.items():
            (root / self.version / f'{name}.json').write_text(json.dumps(records))
        for filename in ['maps/map.png', *(record['filename'] for record in self.tables['sample_data'])]:
            (root / filename).parent.mkdir(parents=True, exist_ok=True)
            (root / filename).touch()
        return root
