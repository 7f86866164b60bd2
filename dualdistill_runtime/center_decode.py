"""From the maps of a CenterPoint head to boxes: peaks, then non-maximum suppression per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .detections import Detections, best, inside, on_the_ground
from .nms import TaskNMS

BRANCHES = ('heatmap', 'reg', 'height', 'dim', 'rot', 'vel')


@dataclass(frozen=True)
class CenterDecoder:
    """Decoding of a model file's ``head`` of kind 'center'.

    Attributes:
        tasks: Class names of each task, in label order.
        nms: :class:`TaskNMS` of each task.
        max_num: Highest cells of a task's heatmap that are looked at.
        min_logit: Boxes have a higher one.
        cell: (x, y) edges of a cell, metres.
        corner: (x, y) where the first cell begins, metres.
        log_size: The size maps hold logarithms.
        limits_before, limits_after: (x_min, y_min, z_min, x_max, y_max, z_max) in which a box's centre must lie before
            and after suppression; None for no limit.
        displacement: The velocity maps hold metres moved since the frame before.
    """

    tasks: Sequence[Sequence[str]]
    nms: Sequence[TaskNMS]
    max_num: int
    min_logit: float
    cell: Sequence[float]
    corner: Sequence[float]
    log_size: bool
    limits_before: Sequence[float] | None
    limits_after: Sequence[float] | None
    displacement: bool

    @classmethod
    def of(cls, head: Mapping[str, Any]) -> CenterDecoder:
        """Taken from a model file."""
        settings = {key: value for key, value in head.items() if key not in ('kind', 'nms', 'decoded')}
        return cls(nms=[TaskNMS(**task) for task in head['nms']], **settings)

    def __call__(self, outputs: Mapping[str, np.ndarray], seconds: float) -> Detections:
        """Boxes of one sample.

        Args:
            outputs: Of the network: per task ``task{i}_{branch}`` (C, H, W) maps, or with decoding in the graph
                ``task{i}_boxes`` (K, 9), ``task{i}_logits`` and ``task{i}_labels`` (K,).
            seconds: Since the frame before, for a displacement head.
        """
        boxes, logits, labels, first_label = [], [], [], 0
        for task, names in enumerate(self.tasks):
            mine = {name.split('_', 1)[1]: value for name, value in outputs.items() if name.startswith(f'task{task}_')}
            peaks = [mine['boxes'], mine['logits'], mine['labels']] if 'boxes' in mine else self._peaks(mine, seconds)
            for kept, part in zip((boxes, logits, labels), self._suppressed(task, *peaks)):
                kept.append(part)
            labels[-1] = labels[-1] + first_label
            first_label += len(names)
        return on_the_ground(*(np.concatenate(column) for column in (boxes, logits, labels)))

    def _peaks(self, maps, seconds):
        """Boxes (K, 9), logits and labels (K,) at the highest cells of a task."""
        heatmap = maps['heatmap']
        cells = best(heatmap.reshape(-1), self.max_num)
        logits = heatmap.reshape(-1)[cells]
        labels, cells = np.divmod(cells, heatmap[0].size)
        read = {name: maps[name].reshape(len(maps[name]), -1)[:, cells].T for name in BRANCHES[1:] if name in maps}
        corner = np.stack([cells % heatmap.shape[2], cells // heatmap.shape[2]], axis=1)
        centre = (corner + read['reg']) * np.float32(self.cell) + np.float32(self.corner)
        size = np.exp(read['dim']) if self.log_size else read['dim']
        yaw = np.arctan2(read['rot'][:, :1], read['rot'][:, 1:])
        velocity = read.get('vel', np.zeros((len(cells), 2), dtype=np.float32))
        velocity = velocity / np.float32(seconds) if self.displacement else velocity
        return np.concatenate([centre, read['height'], size, yaw, velocity], axis=1), logits, labels

    def _suppressed(self, task, boxes, logits, labels):
        kept = (logits > self.min_logit) & inside(boxes, self.limits_before)
        boxes, logits, labels = boxes[kept], logits[kept], labels[kept]
        kept = self.nms[task](boxes, logits, labels)
        kept = kept[inside(boxes[kept], self.limits_after)]
        return boxes[kept], logits[kept], labels[kept]
