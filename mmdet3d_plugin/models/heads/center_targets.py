"""CenterPoint training targets for a whole batch at once, without loops over boxes, tasks or samples.

Equal to ``CenterHead.get_targets`` of mmdet3d 1.0 (which draws box by box), quirks included, because zoo checkpoints
were trained with it; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.core.bbox.coders import CenterPointBBoxCoder
from torch import Tensor

from .heatmap_gaussian import draw_gaussians, gaussian_radius

SETTING_KEYS = frozenset(
    [
        'point_cloud_range',
        'voxel_size',
        'grid_size',
        'out_size_factor',
        'gaussian_overlap',
        'min_radius',
        'max_objs',
        'dense_reg',
        'code_weights',
    ]
)


@dataclass(frozen=True)
class CenterTargets:
    """Targets of one batch, each a list over tasks; K = max_objs slots a sample.

    Attributes:
        heatmaps: (B, classes of the task, H, W) float32 in [0, 1], exactly 1 at object cells.
        boxes: (B, K, 8 or 10) float32: offset of the centre in its cell (2, cells), z of the gravity centre (m), l, w,
            h (log m when ``norm_bbox``), sin and cos of yaw, and with velocity (vx, vy) in m/s. Zero in empty slots.
        indices: (B, K) int64, row * W + col of the object's cell.
        masks: (B, K) bool, slots that hold an object.
    """

    heatmaps: list[Tensor]
    boxes: list[Tensor]
    indices: list[Tensor]
    masks: list[Tensor]


class CenterTargetEncoder:
    """Turns boxes into :class:`CenterTargets`.

    Args:
        class_counts: number of classes of each task, in label order.
        settings: mmdet3d's ``train_cfg`` of a CenterHead (``SETTING_KEYS``).
        norm_bbox: regress the logarithm of sizes.
        with_velocity: boxes carry (vx, vy).

    Raises:
        ValueError: missing or unknown settings, or a grid that is not range / voxel size.
    """

    def __init__(
        self, class_counts: Sequence[int], settings: Mapping[str, Any], norm_bbox: bool, with_velocity: bool
    ) -> None:
        check_settings(settings, with_velocity)
        self.class_counts = list(class_counts)
        self.norm_bbox = norm_bbox
        self.with_velocity = with_velocity
        factor = settings['out_size_factor']
        self.width, self.height = (int(size) // factor for size in settings['grid_size'][:2])
        self.origin = [float(value) for value in settings['point_cloud_range'][:2]]
        self.voxel = [float(value) for value in settings['voxel_size'][:2]]
        self.factor = factor
        self.slots = settings['max_objs'] * settings.get('dense_reg', 1)
        self.gaussian_overlap = settings['gaussian_overlap']
        self.min_radius = settings['min_radius']

    def __call__(self, gt_boxes: Sequence[LiDARInstance3DBoxes], gt_labels: Sequence[Tensor]) -> CenterTargets:
        """Encode.

        Args:
            gt_boxes: list of B ``LiDARInstance3DBoxes`` with (vx, vy) when ``with_velocity``.
            gt_labels: list of B (N_i,) int64 labels over all tasks; a label outside [0, classes) is left out.

        Returns:
            CenterTargets on the labels' device. As in mmdet3d, a centre less than one cell below the lower edge of the
            map belongs to the edge cell (its offset is negative).
        """
        batch, device = len(gt_boxes), gt_labels[0].device
        boxes = torch.cat([self._box_rows(item, device) for item in gt_boxes])
        labels = torch.cat([item.to(device).long() for item in gt_labels])
        counts = torch.tensor([len(item) for item in gt_labels], device=device)
        sample = torch.repeat_interleave(torch.arange(batch, device=device), counts)
        slot, task, order = self._slots(sample, labels, batch)
        boxes, sample, labels = boxes[order], sample[order], labels[order]

        cells = self._cells(boxes[:, :2], range(2), torch.tensor(self.origin, device=device))
        length, width = self._cells(boxes[:, 3:5], range(2)).unbind(dim=1)
        corner = torch.nan_to_num(cells).clamp(-2, 2 * max(self.width, self.height)).long()
        keep = (slot < self.slots) & (length > 0) & (width > 0) & torch.isfinite(boxes[:, :7]).all(dim=1)
        keep &= (corner >= 0).all(dim=1) & (corner[:, 0] < self.width) & (corner[:, 1] < self.height)
        sample, labels, task, slot = sample[keep], labels[keep], task[keep], slot[keep]
        boxes, cells, corner = boxes[keep], cells[keep], corner[keep]

        radius = gaussian_radius(width[keep], length[keep], self.gaussian_overlap)
        radius = radius.clamp(max=2 * max(self.width, self.height)).long().clamp(min=self.min_radius)
        num_classes = sum(self.class_counts)
        heatmaps = draw_gaussians(
            batch * num_classes,
            self.height,
            self.width,
            sample * num_classes + labels,
            corner[:, 0],
            corner[:, 1],
            radius,
        ).view(batch, num_classes, self.height, self.width)
        return self._by_task(batch, heatmaps, self._codes(boxes, cells - corner), corner, (task, sample, slot))

    def _box_rows(self, boxes, device):
        """(N, 7 or 9) rows with the gravity centre, float32."""
        columns = 9 if self.with_velocity else 7
        tensor = boxes.tensor
        if len(tensor) == 0:
            return tensor.new_zeros(0, columns, dtype=torch.float32, device=device)
        if tensor.shape[1] < columns:
            raise ValueError(f'boxes have {tensor.shape[1]} columns, this head needs {columns} (with vx, vy): {boxes}')
        return torch.cat([boxes.gravity_center, tensor[:, 3:columns]], dim=1).to(device).float()

    def _slots(self, sample, labels, batch):
        """Slot, task and order of the boxes: within a sample and task by class, then by input order."""
        num_classes, num_tasks = sum(self.class_counts), len(self.class_counts)
        order = torch.sort(sample * num_classes + labels.clamp(0, num_classes - 1), stable=True).indices
        order = order[(labels[order] >= 0) & (labels[order] < num_classes)]
        task_of_class = torch.repeat_interleave(torch.arange(num_tasks), torch.tensor(self.class_counts))
        task = task_of_class.to(labels.device)[labels[order]]
        group = sample[order] * num_tasks + task
        counts = torch.bincount(group, minlength=batch * num_tasks)
        slot = torch.arange(len(group), device=labels.device) - (counts.cumsum(0) - counts)[group]
        return slot, task, order

    def _cells(self, metres, axes, origin=0.0):
        """Metres to output cells, in the order of operations of mmdet3d so that roundings agree."""
        voxel = metres.new_tensor([self.voxel[axis] for axis in axes])
        return (metres - origin) / voxel / self.factor

    def _codes(self, boxes, offset):
        size = boxes[:, 3:6].log() if self.norm_bbox else boxes[:, 3:6]
        yaw = boxes[:, 6:7]
        return torch.cat([offset, boxes[:, 2:3], size, yaw.sin(), yaw.cos(), boxes[:, 7:]], dim=1)

    def _by_task(self, batch, heatmaps, codes, corner, place):
        shape = (len(self.class_counts), batch, self.slots)
        boxes = codes.new_zeros(*shape, codes.shape[1])
        indices = corner.new_zeros(shape)
        masks = torch.zeros(shape, dtype=torch.bool, device=codes.device)
        boxes[place] = codes
        indices[place] = corner[:, 1] * self.width + corner[:, 0]
        masks[place] = True
        return CenterTargets(list(heatmaps.split(self.class_counts, dim=1)), list(boxes), list(indices), list(masks))


def check_settings(settings: Mapping[str, Any], with_velocity: bool) -> None:
    """Fail on a ``train_cfg`` with missing or unknown keys, or whose parts contradict each other."""
    missing = SETTING_KEYS - {'dense_reg'} - set(settings)
    unknown = set(settings) - SETTING_KEYS
    if missing or unknown:
        raise ValueError(f'train_cfg of BEVCenterHead: missing {sorted(missing)}, unknown {sorted(unknown)}')
    low, high = settings['point_cloud_range'][:2], settings['point_cloud_range'][3:5]
    for axis in range(2):
        cells = round((high[axis] - low[axis]) / settings['voxel_size'][axis])
        if cells != settings['grid_size'][axis] or cells % settings['out_size_factor']:
            raise ValueError(
                f'train_cfg: point_cloud_range {settings["point_cloud_range"]} holds {cells} voxels of '
                f'{settings["voxel_size"][axis]} m along {"xy"[axis]}; grid_size is {settings["grid_size"]} and '
                f'must equal that, as a multiple of out_size_factor {settings["out_size_factor"]}'
            )
    codes = 10 if with_velocity else 8
    if len(settings['code_weights']) != codes:
        raise ValueError(f'train_cfg: code_weights needs {codes} numbers, got {settings["code_weights"]}')


def check_coder(settings: Mapping[str, Any], coder: CenterPointBBoxCoder) -> None:
    """Fail when targets (``train_cfg``) and decoding (``bbox_coder``) use different grids."""
    ours = [*settings['point_cloud_range'][:2], *settings['voxel_size'][:2], settings['out_size_factor']]
    theirs = [*coder.pc_range[:2], *coder.voxel_size[:2], coder.out_size_factor]
    if any(abs(a - b) > 1e-6 for a, b in zip(ours, theirs)):
        raise ValueError(
            f'x_min, y_min, voxel x, voxel y, out_size_factor are {ours} in train_cfg but {theirs} in bbox_coder: make '
            f'them the same'
        )
