"""A scene as one HTML file that needs nothing else: content, styles and code of ``page/`` are joined when written."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..structures.atomic_file import replace_when_done
from ..structures.boxes import EDGES, Boxes, box_corners
from ..structures.poses import lidar_to_camera
from .frame import Frame, above
from .palette import PAGE_GROUND_TRUTH, PAGE_MODELS, class_colour

ASSETS = Path(__file__).with_name('page')
SCRIPTS = ('view.js', 'draw.js', 'scene.js', 'controls.js', 'mouse.js', 'page.js')  # in the order they use each other
LOWEST_SCORE = 0.1  # boxes below are not in the page, whose reader can only raise the threshold
_DASHES = ([], [7, 4], [2, 3], [10, 3, 2, 3])  # of the last model, the one before, ...: colour is not all that differs


def page_content(
    frames: Sequence[Frame],
    bev_range: Sequence[float],
    *,
    title: str,
    threshold: float = 0.3,
    credit: str = '',
    fps: float = 2.0,
    max_points: int = 10000,
) -> dict[str, Any]:
    """All that the page shows, as JSON takes it.

    Args:
        frames: In the order in which the page steps through them, all with the same models.
        bev_range: x_min, y_min, x_max, y_max of the first view, metres.
        title: Heading.
        threshold: Score from which boxes are shown at first.
        credit: Last line.
        fps: Frames a second when it plays.
        max_points: Of a frame; of more a random share is kept.

    Returns:
        Lengths in metres, speeds in m/s. ``layers`` are the models and, last, the ground truth. A frame's ``boxes`` has
        a list a layer; a box has ``class`` (an index into ``classes``), ``score`` and ``speed`` (None where there is
        none) and ``corners``, the 8 x 3 numbers of :func:`box_corners` in the frame's LiDAR frame. ``path`` are x and y
        of the LiDAR at all frames of the scene, in the same frame. ``points`` are little-endian int16 x, y, z in
        centimetres, base64. A camera's ``matrix`` (3 x 4) leads from there to pixels of its ``image``, a data URI.

    Raises:
        ValueError: There is no frame, or not all have the same cameras.
    """
    _check_frames(frames)
    annotated = any(frame.truth is not None for frame in frames)
    layers = _layers(list(frames[0].models), annotated)
    shown = [_boxes_of(frame, annotated) for frame in frames]
    classes = sorted({name for boxes in shown for layer in boxes for name in layer.names})
    return dict(
        title=title, credit=credit, threshold=max(threshold, LOWEST_SCORE), fps=fps, range=list(bev_range),
        lowest_score=LOWEST_SCORE, edges=EDGES.tolist(), layers=layers,
        classes=[dict(name=name, colour=_hex(class_colour(name))) for name in classes],
        frames=[
            _frame(frame, frames, [_boxes(layer, classes) for layer in boxes], max_points)
            for frame, boxes in zip(frames, shown)
        ],
    )  # fmt: skip


def _check_frames(frames):
    if not frames:
        raise ValueError('a page needs at least one frame')
    for frame in frames:
        if list(frame.cameras) != list(frames[0].cameras):
            raise ValueError(
                f'frame {frame.token} has the cameras {", ".join(frame.cameras)}, the first frame of the page '
                f'{", ".join(frames[0].cameras)}: a page shows the same ones throughout, in one order'
            )


def write_page(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write the HTML file of a :func:`page_content`."""
    text = json.dumps(content, separators=(',', ':'), allow_nan=False)
    parts = {
        'title': html.escape(content['title']),
        'style': (ASSETS / 'page.css').read_text(encoding='utf-8'),
        'script': '\n'.join((ASSETS / name).read_text(encoding='utf-8') for name in SCRIPTS),
        'content': text.replace('<', '\\u003c'),  # no name can end the script element that it stands in
    }
    template = (ASSETS / 'page.html').read_text(encoding='utf-8')
    page = re.sub(r'@@(\w+)@@', lambda match: parts[match[1]], template)
    with replace_when_done(path) as temporary:
        temporary.write_text(page, encoding='utf-8')


def _layers(names, annotated):
    """list[dict]: Name, kind, colour on a light and a dark page and line pattern of each layer."""
    layers = []
    for number, name in enumerate(names):
        kinds, last = len(PAGE_MODELS), len(names) - 1
        colour = PAGE_MODELS[number % kinds]
        # Where colours begin again, lines move on by one, so that the pairs differ.
        dash = _DASHES[(last - number + last // kinds - number // kinds) % len(_DASHES)]
        layers.append(dict(name=name, kind='model', colour=list(colour), dash=dash))
    if annotated:
        layers.append(dict(name='ground truth', kind='truth', colour=list(PAGE_GROUND_TRUTH), dash=[]))
    return layers


def _boxes_of(frame, annotated):
    """list[Boxes]: Of each layer."""
    truth = [Boxes(np.zeros((0, 7))) if frame.truth is None else frame.truth] if annotated else []
    return [above(boxes, LOWEST_SCORE) for boxes in frame.models.values()] + truth


def _boxes(boxes, classes):
    """list[dict]: See :func:`page_content`; best first, so that the page draws and finds the best on top."""
    scores = [None] * len(boxes) if boxes.scores is None else [round(float(score), 3) for score in boxes.scores]
    speeds = np.full(len(boxes), np.nan) if boxes.velocities is None else np.hypot(*boxes.velocities.T)
    listed = [
        {'class': classes.index(name), 'score': score, 'speed': _number(speed), 'corners': _rounded(corners)}
        for name, score, speed, corners in zip(boxes.names, scores, speeds, box_corners(boxes.boxes))
    ]
    return sorted(listed, key=lambda box: -(box['score'] or 0))


def _frame(frame, frames, boxes, max_points):
    return dict(
        token=frame.token, scene=frame.scene, seconds=round(frame.seconds, 3), boxes=boxes,
        path=_rounded(_path(frame, [other for other in frames if other.scene == frame.scene])),
        points=_packed(frame.points, max_points),
        cameras=[_camera(name, *camera) for name, camera in frame.cameras.items()],
    )  # fmt: skip


def _path(frame, scene):
    """(F, 2) where the LiDAR was at the frames of a scene, in the LiDAR frame of one of them, metres."""
    places = np.stack([other.lidar_to_global[:3, 3] for other in scene]) - frame.lidar_to_global[:3, 3]
    return (places @ frame.lidar_to_global[:3, :3])[:, :2]


def _packed(points, most):
    points = points[:, :3][(np.abs(points[:, :3]) < 320).all(axis=1)]  # what int16 centimetres hold
    if len(points) > most:
        points = points[np.sort(np.random.default_rng(0).choice(len(points), most, replace=False))]
    return base64.b64encode(np.round(points * 100).astype('<i2').tobytes()).decode()


def _camera(name, image, camera):
    done, data = cv2.imencode('.jpg', np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 80])
    if not done:
        raise ValueError(f'{name}: this OpenCV cannot write JPEG files')
    matrix = np.asarray(camera['cam_intrinsic'], dtype=np.float64) @ lidar_to_camera(camera)[:3]
    return dict(
        name=name, width=image.shape[1], height=image.shape[0], matrix=_rounded(matrix, 5),
        image='data:image/jpeg;base64,' + base64.b64encode(data.tobytes()).decode(),
    )  # fmt: skip


def _rounded(numbers, digits=2):
    """list[float]: All numbers of an array in a row."""
    return np.round(numbers, digits).ravel().tolist()


def _number(value, digits=2):
    return round(float(value), digits) if np.isfinite(value) else None


def _hex(colour):
    return '#{:02x}{:02x}{:02x}'.format(*colour)
