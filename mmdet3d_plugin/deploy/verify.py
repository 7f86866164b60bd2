"""The same random moments through torch and through the exported file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from dualdistill_runtime.detector import Detector, open_detector
from dualdistill_runtime.frame import Frame
from dualdistill_runtime.rig import Rig

from ..models.detectors import BEVDetector
from ..synthetic.random_batch import make_batch

YAW = 6  # in a decoded box


def random_moments(facts: Mapping[str, Any], batch_size: int = 2, seed: int = 0) -> dict[str, Any]:
    """A collated batch as the detector takes it: two frames where it remembers, random images, no augmentation."""
    frustum = facts.get('frustum')
    return make_batch(
        batch_size=batch_size,
        num_frames=2 if facts['remembers'] else 1,
        num_cams=len(facts['cameras']),
        image_size=tuple((frustum or facts['pillars'])['image_size']),
        stride=frustum['stride'] if frustum else 1,
        point_cloud_range=facts['point_cloud_range'],
        num_boxes=3,
        num_points=64,
        augment=False,
        seed=seed,
    )


def frames_of(batch: Mapping[str, Any], frame: int) -> tuple[np.ndarray, list[Rig], list[Frame]]:
    """Images (B, N, 3, H, W), cameras and moments of one frame of each sample, as a runtime's ``feed`` takes them."""
    geometry = [batch[key][:, frame].double().numpy() for key in ('intrins', 'post_rots', 'post_trans', 'cam2lidar')]
    rigs = [Rig(*sample) for sample in zip(*geometry)]
    frames = []
    for sample, meta in enumerate(batch['img_metas']):
        ego2global = meta['ego2global'][frame]
        frames.append(
            Frame(
                images={},
                intrinsics={},
                camera2global={},
                lidar2global=ego2global @ meta['lidar2ego'],
                timestamp=meta['timestamp'] - meta['frame_dt'] * frame,
                ego2global=ego2global,
                motion=batch['can_bus'][sample, frame].double().numpy(),
            )
        )
    return batch['img'][:, frame].numpy(), rigs, frames


def example_feed(detector: Detector, batch_size: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs of a file's graph for random moments without any before them, and those that it does not read."""
    images, rigs, frames = frames_of(random_moments(detector.model.facts, batch_size, seed), 0)
    return detector.feed(images, rigs, frames, [None] * batch_size)


class Agreement(NamedTuple):
    """How far outputs of torch and of a file lie apart, for random moments with a frame before each.

    Attributes:
        same_inputs: largest difference where both get the same plan and the same map before: arithmetic alone.
        own_way: largest difference from what the detector makes of the same images and cameras by its own geometry. A
            point on the border of two cells may fall to either side there, since torch and numpy round differently.
        typical: median of the latter, which a few such points do not move.
    """

    same_inputs: float
    own_way: float
    typical: float


def compare(detector: BEVDetector, graph: nn.Module, path: str | Path) -> Agreement:
    """Hold a file against the detector that it was made of.

    Batches of one and of three: the export has seen two, and a length that it took for a constant shows.

    Args:
        detector: on the CPU, in evaluation mode.
        graph: that was exported.
        path: the file.
    """
    runtime = open_detector(path)
    same, own = [], []
    for size in (1, 3):
        batch = random_moments(runtime.model.facts, size, seed=size)
        for feed, found in answers(runtime, batch):
            same.append(largest_difference(graph_outputs(graph, feed), found))
        own.append(_differences(torch_outputs(detector, graph.head, batch), found))
    apart = np.concatenate(own)
    return Agreement(float(np.max(same)), float(apart.max()), float(np.median(apart)))


def answers(detector: Detector, batch: Mapping[str, Any]) -> Iterator[tuple[dict[str, np.ndarray], ...]]:
    """Inputs and outputs of the file for each frame of a batch, oldest first, each in the light of the one before."""
    earlier: list[Any] = [None] * len(batch['img'])
    for frame in range(batch['img'].shape[1] - 1, -1, -1):
        images, rigs, frames = frames_of(batch, frame)
        feed = detector.feed(images, rigs, frames, earlier)
        outputs = detector.model.run(feed)
        earlier = [detector.remembered(moment, bev) for moment, bev in zip(frames, outputs['bev'])]
        yield feed, outputs


def runtime_outputs(detector: Detector, batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Outputs of the file for the current frames of a batch."""
    *_, (_, outputs) = answers(detector, batch)
    return outputs


@torch.no_grad()
def graph_outputs(graph: nn.Module, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What torch makes of inputs of the file."""
    return {
        name: value.numpy() for name, value in graph(*(torch.from_numpy(feed[key]) for key in graph.inputs)).items()
    }


@torch.no_grad()
def torch_outputs(detector: BEVDetector, head: nn.Module, batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What torch makes of the same batch, by the detector's own way.

    Args:
        detector: in evaluation mode.
        head: of :mod:`.head_graphs`.
        batch: see :func:`random_moments`.
    """
    seconds = torch.tensor([meta['frame_dt'] for meta in batch['img_metas']])
    outputs = head(detector.extract_bev(batch).head_map, *([seconds] if head.inputs else []))
    return {name: value.numpy() for name, value in outputs.items()}


def largest_difference(wanted: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float:
    """Largest difference of outputs of one name, as :func:`compare` takes it."""
    return float(_differences(wanted, found).max(initial=0.0))


def _differences(wanted, found):
    """Absolute differences of outputs of one name, flat, as shares of its largest value where that exceeds 1.

    Decoded boxes of a sample are compared with their nearest among those found, as two that are all but equal may
    change places; an angle is compared as a direction. Their labels follow from them.
    """
    apart = []
    for name, value in wanted.items():
        if name.endswith('boxes'):
            apart += [_to_nearest(*pair) for pair in zip(_directed(value), _directed(found[name]))]
        elif not name.endswith('labels'):
            apart.append(np.abs(value - found[name]).reshape(-1) / np.abs(value).max(initial=1.0))
    return np.concatenate(apart)


def _directed(boxes):
    sides = [np.sin(boxes[..., YAW : YAW + 1]), np.cos(boxes[..., YAW : YAW + 1])]
    return np.concatenate([boxes[..., :YAW], boxes[..., YAW + 1 :], *sides], axis=-1)


def _to_nearest(mine, others):
    return np.abs(mine[:, None] - others[None]).max(axis=-1).min(axis=1)
