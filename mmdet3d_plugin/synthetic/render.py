"""Rendering of one sensor of one scene: the unit of parallel work."""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pyquaternion import Quaternion

from .camera import Camera
from .config import SyntheticConfig
from .jit import compiled
from .lidar import Lidar
from .raycast import world_to_unit
from .rig import CHANNELS, LIDAR, build_rig
from .tables import annotation_token, ego_quaternion, instance_token
from .world import World


@dataclass(frozen=True)
class Task:
    """Everything a worker needs to render ``frames`` of ``channel`` below ``root``."""

    root: Path
    config: SyntheticConfig
    scene: int
    world: World
    channel: str
    frames: list


def sensor_pose(sensor, ego_path, time):
    """Rotation (3, 3) and position (3,) of a sensor in the global frame at ``time`` s, through the stored numbers."""
    x, y, yaw = ego_path.pose(time)
    ego = Quaternion(ego_quaternion(yaw)).rotation_matrix
    return ego @ sensor.rotation, ego @ sensor.translation + np.array([x, y, 0.0])


@compiled
def count_points(points, boxes, rotation, origin):
    """Points (M, >=3, LiDAR frame) in each of the boxes (n, 7: centre, l, w, h, yaw; global frame), faces included."""
    counts = np.zeros(len(boxes), dtype=np.int64)
    linear, offset, obj = np.empty((3, 3)), np.empty(3), np.zeros(8)
    for i in range(len(boxes)):
        obj[0:3] = boxes[i, 0:3]
        obj[3] = boxes[i, 6]
        obj[4:7] = boxes[i, 3:6]
        world_to_unit(obj, rotation, origin, linear, offset)
        for k in range(len(points)):
            inside = True
            for a in range(3):
                value = offset[a]
                for b in range(3):
                    value += linear[a, b] * points[k, b]
                inside = inside and abs(value) <= 0.5
            counts[i] += inside
    return counts


def _render_lidar(task, rng_key):
    config = task.config
    sensor = build_rig(config.image_width, config.image_height)[LIDAR]
    lidar = Lidar(
        config.lidar_beams, config.lidar_azimuth_steps, config.lidar_max_range, config.lidar_range_noise,
        config.lidar_dropout,
    )  # fmt: skip
    counts = []
    for k, frame in enumerate(task.frames):
        rotation, origin = sensor_pose(sensor, task.world.ego, frame.time)
        rng = np.random.default_rng([*rng_key, k])
        points = lidar.scan(task.world.objects_at(frame.time), rotation, origin, rng)
        points.tofile(task.root / frame.filename)
        if frame.is_key:
            counts.append(count_points(points, task.world.boxes_at(frame.time), rotation, origin))
    return dict(lidar_points=np.array(counts))


def _render_camera(task, rng_key):
    config, world = task.config, task.world
    sensor = build_rig(config.image_width, config.image_height)[task.channel]
    camera = Camera(sensor.intrinsic, config.image_width, config.image_height, config.image_noise)
    n = len(world.labels)
    visible, amodal = [], []
    for k, frame in enumerate(task.frames):
        rotation, origin = sensor_pose(sensor, world.ego, frame.time)
        rng = np.random.default_rng([*rng_key, k])
        objects = world.objects_at(frame.time)
        image, owner, _, covered = camera.render(objects, world.colours, world.look, rotation, origin, rng)
        ok, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality])
        if not ok:
            raise OSError(f'{frame.filename}: the image could not be encoded as JPEG')
        data.tofile(task.root / frame.filename)
        if frame.is_key:
            amodal.append(covered[:n])
            visible.append(np.bincount(owner[(owner >= 0) & (owner < n)], minlength=n))
        if config.instance_masks:
            _write_masks(task, frame, owner)
    return dict(visible=np.array(visible), amodal=np.array(amodal))


def mask_path(image_filename: str) -> str:
    """Relative path of the instance masks of an image: ``samples|sweeps/CAM/x.jpg`` -> ``instance_masks/CAM/x.npz``."""
    _, channel, name = image_filename.split('/')
    return f'instance_masks/{channel}/{name[: -len(".jpg")]}.npz'


def _write_masks(task, frame, owner):
    """One compressed npz per image.

    ``ids`` (H, W) uint16: 0 no annotated object, k the object in row k - 1 of the other arrays, which list the
    objects seen in the image: ``annotation_tokens``, ``instance_tokens`` (k, str), ``names`` (k, detection class).
    Images between keyframes have no annotations: their ``annotation_tokens`` are those of the keyframe that follows.
    """
    n = len(task.world.labels)
    present = np.unique(owner[(owner >= 0) & (owner < n)])
    lookup = np.zeros(max(int(owner.max()) + 2, n + 1), dtype=np.uint16)
    lookup[present + 1] = np.arange(1, len(present) + 1)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        ids=lookup[owner.astype(np.int64) + 1],
        annotation_tokens=np.array(
            [annotation_token(task.config, task.scene, frame.keyframe, i) for i in present], 'U32'
        ),
        instance_tokens=np.array([instance_token(task.config, task.scene, i) for i in present], 'U32'),
        names=np.array([task.world.labels[i] for i in present], 'U32'),
    )
    (task.root / mask_path(frame.filename)).write_bytes(buffer.getvalue())


def render(task: Task):
    """Write all files of the task; returns (scene, channel, dict of per-keyframe counts of the annotated objects)."""
    rng_key = (task.config.seed, task.scene, 2 + CHANNELS.index(task.channel))
    work = _render_lidar if task.channel == LIDAR else _render_camera
    return task.scene, task.channel, work(task, rng_key)
