"""The 13 nuScenes v1.0 tables of a generated data set."""

import hashlib
import json

import numpy as np
from nuscenes.utils.splits import create_splits_scenes

from .classes import ATTRIBUTES, SPECS
from .config import SyntheticConfig
from .rig import LIDAR, build_rig
from .schedule import log_name

VISIBILITY = (('1', 'v0-40', 0.4), ('2', 'v40-60', 0.6), ('3', 'v60-80', 0.8), ('4', 'v80-100', np.inf))
TABLES = (
    'category', 'attribute', 'visibility', 'instance', 'sensor', 'calibrated_sensor', 'ego_pose', 'log', 'scene',
    'sample', 'sample_data', 'sample_annotation', 'map',
)  # fmt: skip


def token(seed: int, *key) -> str:
    """32 hex digits that depend on the seed and the key alone."""
    return hashlib.md5('/'.join(map(str, (seed, *key))).encode()).hexdigest()


def annotation_token(config: SyntheticConfig, scene: int, keyframe: int, index: int) -> str:
    return token(config.seed, 'sample_annotation', scene, keyframe, index)


def instance_token(config: SyntheticConfig, scene: int, index: int) -> str:
    return token(config.seed, 'instance', scene, index)


def scene_names(config: SyntheticConfig) -> list:
    """Official names: the first training scenes of the version's split, then its first validation scenes."""
    splits = create_splits_scenes()
    train, val = ('mini_train', 'mini_val') if config.version.endswith('mini') else ('train', 'val')
    return splits[train][: config.scenes - config.val_scenes] + splits[val][: config.val_scenes]


def ego_quaternion(yaw: float) -> list:
    return [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))]


def visibility_token(visible: int, amodal: int) -> str:
    """nuScenes visibility bin of the share of an object's pixels that is seen over all cameras."""
    share = visible / amodal if amodal else 0.0
    return next(name for name, _, upper in VISIBILITY if share < upper or upper == np.inf)


def _linked(tokens):
    """(token, prev, next) triples with '' at both ends."""
    return zip(tokens, ['', *tokens[:-1]], [*tokens[1:], ''])


class TableBuilder:
    """Collects the records of all scenes; ``write`` saves one JSON file per table."""

    def __init__(self, config: SyntheticConfig):
        self.config = config
        self.tables = {name: [] for name in TABLES}
        self.rig = build_rig(config.image_width, config.image_height)
        self.map_file = f'maps/{self._token("map", "mask")}.png'
        self._add_constants()

    def _token(self, *key):
        return token(self.config.seed, *key)

    def _add_constants(self):
        rows = self.tables
        for index, spec in enumerate(SPECS.values()):
            rows['category'].append(
                dict(token=self._token('category', spec.category), name=spec.category, description='', index=index)
            )
        for name in ATTRIBUTES:
            rows['attribute'].append(dict(token=self._token('attribute', name), name=name, description=''))
        for name, level, _ in VISIBILITY:
            rows['visibility'].append(dict(token=name, level=level, description=''))
        for channel in self.config.channels:
            modality = 'lidar' if channel == LIDAR else 'camera'
            rows['sensor'].append(dict(token=self._token('sensor', channel), channel=channel, modality=modality))
        rows['map'].append(
            dict(token=self._token('map'), log_tokens=[], category='semantic_prior', filename=self.map_file)
        )

    def add_scene(self, index: int, name: str, world, schedule: dict, lidar_points, visible, amodal):
        """One scene. ``lidar_points``, ``visible``, ``amodal`` are (keyframes, n) counts of its annotated objects."""
        samples = [self._token('sample', index, k) for k in range(self.config.keyframes)]
        self._add_scene_record(index, name, samples)
        keys = [frame for frame in schedule[LIDAR] if frame.is_key]
        for (tok, prev, following), frame in zip(_linked(samples), keys):
            self.tables['sample'].append(
                dict(token=tok, timestamp=frame.timestamp, prev=prev, next=following,
                     scene_token=self._token('scene', index))
            )  # fmt: skip
        for channel in self.config.channels:
            self._add_channel(index, channel, world, schedule[channel], samples)
        for i in range(len(world.labels)):
            self._add_instance(index, i, world, keys, samples, lidar_points[:, i], visible[:, i], amodal[:, i])

    def _add_scene_record(self, index, name, samples):
        log = log_name(index)
        self.tables['log'].append(
            dict(token=self._token('log', index), logfile=log, vehicle='synthetic', date_captured='2018-07-31',
                 location='synthetic')
        )  # fmt: skip
        self.tables['map'][0]['log_tokens'].append(self._token('log', index))
        self.tables['scene'].append(
            dict(token=self._token('scene', index), log_token=self._token('log', index), nbr_samples=len(samples),
                 first_sample_token=samples[0], last_sample_token=samples[-1], name=name,
                 description=f'Generated scene {index}, seed {self.config.seed}')
        )  # fmt: skip

    def _add_channel(self, index, channel, world, frames, samples):
        sensor = self.rig[channel]
        camera = channel != LIDAR
        calibration = self._token('calibrated_sensor', index, channel)
        self.tables['calibrated_sensor'].append(
            dict(token=calibration, sensor_token=self._token('sensor', channel),
                 translation=sensor.translation.tolist(), rotation=list(sensor.quaternion),
                 camera_intrinsic=sensor.intrinsic.tolist() if camera else [])
        )  # fmt: skip
        tokens = [self._token('sample_data', index, channel, k) for k in range(len(frames))]
        for (tok, prev, following), frame in zip(_linked(tokens), frames):
            x, y, yaw = world.ego.pose(frame.time)
            pose = self._token('ego_pose', tok)
            self.tables['ego_pose'].append(
                dict(token=pose, timestamp=frame.timestamp, rotation=ego_quaternion(yaw),
                     translation=[float(x), float(y), 0.0])
            )  # fmt: skip
            self.tables['sample_data'].append(
                dict(token=tok, sample_token=samples[frame.keyframe], ego_pose_token=pose,
                     calibrated_sensor_token=calibration, timestamp=frame.timestamp,
                     fileformat='jpg' if camera else 'pcd', is_key_frame=frame.is_key,
                     height=self.config.image_height if camera else 0, width=self.config.image_width if camera else 0,
                     filename=frame.filename, prev=prev, next=following)
            )  # fmt: skip

    def _add_instance(self, index, i, world, keys, samples, lidar_points, visible, amodal):
        tokens = [annotation_token(self.config, index, k, i) for k in range(len(keys))]
        instance = instance_token(self.config, index, i)
        self.tables['instance'].append(
            dict(token=instance, category_token=self._token('category', SPECS[world.labels[i]].category),
                 nbr_annotations=len(tokens), first_annotation_token=tokens[0], last_annotation_token=tokens[-1])
        )  # fmt: skip
        attribute = world.attribute(i)
        for k, (tok, prev, following) in enumerate(_linked(tokens)):
            x, y, z, length, width, height, yaw = world.boxes_at(keys[k].time)[i].tolist()
            self.tables['sample_annotation'].append(
                dict(token=tok, sample_token=samples[k], instance_token=instance,
                     visibility_token=visibility_token(visible[k], amodal[k]),
                     attribute_tokens=[self._token('attribute', attribute)] if attribute else [],
                     translation=[x, y, z], size=[width, length, height], rotation=ego_quaternion(yaw), prev=prev,
                     next=following, num_lidar_pts=int(lidar_points[k]), num_radar_pts=0)
            )  # fmt: skip

    def write(self, folder):
        folder.mkdir(parents=True)
        for name, rows in self.tables.items():
            (folder / f'{name}.json').write_text(json.dumps(rows, indent=0))
