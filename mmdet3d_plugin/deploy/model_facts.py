"""What a student's file says about itself: how images become its input, which moments it wants, what its boxes mean."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv import Config
from mmcv.utils import build_from_cfg
from mmdet3d.datasets.builder import PIPELINES
from nuscenes.eval.common.config import config_factory

from dualdistill_runtime.cameras import NUSCENES_CAMERAS, camera_order
from dualdistill_runtime.image_file import read_image
from dualdistill_runtime.model_file import FORMAT

from ..datasets.infos.info_io import load_infos
from ..models.detectors import BEVDetector

_IMAGE_STEPS = dict(
    AugmentMultiViewImages=('resize_crop', ('final_dim', 'test_resize', 'mean', 'std')),
    NormalizePad=('whole', ('mean', 'std', 'to_rgb', 'size_divisor', 'scale')),
)
_FRAME_STEPS = dict(
    SelectAdjacentFrames=('adjacent', ('reference_camera', 'test_index', 'num_previous')),
    SelectKeyframeQueue=('keyframes', ('reference_camera',)),
)
# They leave the images as they are, or do nothing in a test.
_OTHER_STEPS = ('LoadMultiViewImages', 'LoadEgoMotion', 'GlobalBEVAug', 'FormatBEVInputs')
_PACKAGE = __name__.partition('.')[0]
_MOTION = ('motion_source', 'quaternion', 'wrap_yaw')


class StudentSteps:
    """Steps of ``data.test`` of a config, with all their settings.

    Args:
        cfg: whole config.
        cameras: names in the order of the network's camera axis; None looks at the pipeline and the test set.

    Raises:
        ValueError: the pipeline lacks a step that a camera student has, or has one that a file cannot describe.
    """

    def __init__(self, cfg: Config, cameras: Sequence[str] | None = None) -> None:
        self.data = cfg.data.test
        self._cameras = cameras
        self._steps = {}
        for step in self.data.get('pipeline', ()):
            if step['type'] not in (*_OTHER_STEPS, *_IMAGE_STEPS, *_FRAME_STEPS):
                raise ValueError(
                    f'data.test.pipeline: a file cannot tell its reader to do what {step["type"]} does; known are '
                    f'{", ".join((*_OTHER_STEPS, *_IMAGE_STEPS, *_FRAME_STEPS))}'
                )
            self._steps[step['type']] = build_from_cfg(step, PIPELINES)

    def image(self) -> dict[str, Any]:
        """How an image file becomes the network's input."""
        kind, settings = self._described(_IMAGE_STEPS, 'images')
        reduction = self._steps['LoadMultiViewImages'].decode_reduction if 'LoadMultiViewImages' in self._steps else 1
        return dict(kind=kind, decode_reduction=reduction, **settings)

    def frames(self) -> dict[str, Any]:
        """Which moments the network looks at."""
        kind, settings = self._described(_FRAME_STEPS, 'frames')
        if settings.get('num_previous', 1) != 1:
            raise ValueError(f'data.test.pipeline: num_previous={settings["num_previous"]}, a file remembers one frame')
        settings.pop('num_previous', None)
        return dict(kind=kind, **settings)

    def motion(self) -> dict[str, Any] | None:
        """What the motion vector holds; None in a pipeline without."""
        step = self._steps.get('LoadEgoMotion')
        return None if step is None else {name: getattr(step, name) for name in _MOTION}

    def cameras(self) -> list[str]:
        """Names in the order of the network's camera axis."""
        named = next((step.cameras for name, step in self._steps.items() if name in _FRAME_STEPS), None)
        return list(self._cameras or named or camera_order(self._infos_cameras()))

    def input_size(self, original: Sequence[int] | None = None) -> tuple[int, int]:
        """(H, W) of the network's images.

        Args:
            original: (height, width) of the largest camera's; None looks at the test set's first sample.

        Raises:
            ValueError: nothing tells how large the camera's images are.
        """
        if 'AugmentMultiViewImages' in self._steps:
            return self._steps['AugmentMultiViewImages'].final_dim
        return self._steps['NormalizePad'].padded_size([original] if original else self._first_shapes())

    def _described(self, known, what):
        for name, (kind, keys) in known.items():
            if name in self._steps:
                return kind, {key: _plain(getattr(self._steps[name], key)) for key in keys}
        raise ValueError(
            f'data.test.pipeline has no step that an exported student could repeat for its {what}: it needs '
            f'{" or ".join(known)}'
        )

    def _infos_cameras(self):
        if not os.path.isfile(self.data.ann_file):
            warnings.warn(
                f"which cameras? {self.data.ann_file} is not there to tell: nuScenes' six are taken, in the order "
                f'{" ".join(camera_order(NUSCENES_CAMERAS))}; else name them with --cameras',
                stacklevel=2,
            )
            return NUSCENES_CAMERAS
        return load_infos(self.data.ann_file)['metadata'].get('cameras') or NUSCENES_CAMERAS

    def _first_shapes(self):
        """Of the images of the first sample."""
        if not os.path.isfile(self.data.ann_file):
            raise ValueError(
                f'how large are the images? {self.data.ann_file} is not there to tell: give --camera-size HEIGHT WIDTH '
                f'of the largest original images, 900 1600 for nuScenes'
            )
        records = load_infos(self.data.ann_file)['infos'][0]['cams']
        paths = [os.path.join(self.data.data_root, records[name]['data_path']) for name in self.cameras()]
        return [read_image(path).shape for path in paths]


def model_facts(
    cfg: Config, steps: StudentSteps, detector: BEVDetector, graph_facts: Mapping[str, Any], opset: int
) -> dict[str, Any]:
    """What a file says about itself: plain values that JSON can hold.

    Args:
        cfg: whole config.
        steps: of its test set.
        detector: of which the graph was made.
        graph_facts: ``facts()`` of the graph, with the size of its images.
        opset: of ONNX.
    """
    eval_version = cfg.data.test.get('eval_version', 'detection_cvpr_2019')
    ranges = config_factory(eval_version).class_range
    return dict(
        format=FORMAT,
        family=type(detector).__name__,
        classes=list(detector.head.classes),
        eval_version=eval_version,
        class_range={name: float(metres) for name, metres in ranges.items()},
        cameras=steps.cameras(),
        image=steps.image(),
        frames=steps.frames(),
        motion=steps.motion(),
        modality=_modality(cfg),
        opset=opset,
        versions=dict(dualdistill=sys.modules[_PACKAGE].__version__, torch=torch.__version__),
        config=os.path.basename(cfg.filename or ''),
        **graph_facts,
    )


def _modality(cfg):
    given = cfg.data.test.get('modality') or {}
    return {f'use_{name}': bool(given.get(f'use_{name}')) for name in ('camera', 'lidar', 'radar', 'map', 'external')}


def _plain(value):
    return value.tolist() if hasattr(value, 'tolist') else list(value) if isinstance(value, tuple) else value
