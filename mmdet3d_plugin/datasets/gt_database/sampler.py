"""Ground-truth sampling: objects of other scenes pasted where they stood, unless something is there already."""

import random

import numpy as np
import torch
from mmcv.ops import box_iou_rotated
from mmdet3d.core.points import LiDARPoints
from mmdet3d.datasets.builder import OBJECTSAMPLERS

from .files import NUM_SWEEPS, columns_of, load_database_infos


@OBJECTSAMPLERS.register_module()
class GTDatabaseSampler:
    """Draws objects for mmdet3d's ObjectSample (SECOND's ground-truth sampling).

    Against mmdet3d's DataBaseSampler: every draw is new and comes from python's random state, which the training seeds
    per epoch; mmdet3d's walks through one shuffled list, from its start in every epoch, as its place in the list is
    lost with the data loading workers. Infos are arrays, which workers share.

    Objects keep their place, heading, velocity and the age of their points. A drawn object whose rectangle, seen from
    above, overlaps a box of the sample or an earlier drawn object is left out.

    Args:
        info_path (str): Infos of a database made by ``tools/create_data.py``.
        classes (Sequence[str]): Class names in label order.
        sample_groups (dict[str, int]): Class name -> objects to fill a sample up to, its own included.
        num_sweeps (int): Sweeps of the pipeline, the keyframe included; the database must have the same.
        virtual_points (bool): Whether points are those with virtual ones; the database must have the same.
        min_points (int): Objects with fewer points are not drawn.

    Raises:
        FileNotFoundError, InfoFileError: See :func:`load_database_infos`.
        ValueError: A class of ``sample_groups`` is not in ``classes``.
    """

    def __init__(self, *, info_path, classes, sample_groups, num_sweeps=NUM_SWEEPS, virtual_points=False, min_points=5):
        unknown = sorted(set(sample_groups) - set(classes))
        if unknown:
            raise ValueError(f'sample_groups: {", ".join(unknown)} not in classes {list(classes)}')
        objects, self.points_path = load_database_infos(info_path, num_sweeps, virtual_points)
        self.columns = columns_of(virtual_points)
        self.labels = {name: list(classes).index(name) for name in sample_groups}
        self.sample_groups = {name: int(number) for name, number in sample_groups.items()}
        self.objects = {}
        for name in sample_groups:
            if name in objects:  # a partial data set may lack a class
                entry = objects[name]
                enough = entry.count >= min_points
                self.objects[name] = (entry.boxes[enough], entry.start[enough], entry.count[enough])

    def sample_all(self, gt_bboxes, gt_labels, img=None, ground_plane=None):
        """Objects to add to a sample.

        Args:
            gt_bboxes (np.ndarray): (K, 7 or 9) float32 boxes of the sample, bottom centre, LiDAR frame.
            gt_labels (np.ndarray): (K,) their labels; -1 counts as an obstacle only.
            img, ground_plane: must be None; camera images cannot be pasted to, nuScenes has no ground planes.

        Returns:
            dict | None: ``gt_bboxes_3d`` (S, 7 or 9) float32, bottom centre, ``gt_labels_3d`` (S,) int64 and ``points``
            (LiDARPoints); None when nothing was drawn.
        """
        if img is not None or ground_plane is not None:
            raise ValueError('GTDatabaseSampler pastes LiDAR points only: no sample_2d or use_ground_plane')
        occupied, boxes, labels, points = gt_bboxes, [], [], []
        for name, wanted in self.sample_groups.items():
            lacking = wanted - int((gt_labels == self.labels[name]).sum())
            for box, start, count in self._draw(name, lacking, gt_bboxes.shape[1]):
                if not _overlaps(box, occupied):
                    occupied = np.concatenate([occupied, box[None]])
                    boxes.append(box)
                    labels.append(self.labels[name])
                    points.append(self._read(start, count))
        if not boxes:
            return None
        points = LiDARPoints(np.concatenate(points), points_dim=self.columns)
        return dict(gt_bboxes_3d=np.stack(boxes), gt_labels_3d=np.array(labels, dtype=np.int64), points=points)

    def _draw(self, name, number, box_size):
        """Up to ``number`` different objects of a class: (box with bottom centre, start, count) each."""
        if number <= 0 or name not in self.objects:
            return []
        boxes, start, count = self.objects[name]
        chosen = random.sample(range(len(count)), min(number, len(count)))
        drawn = boxes[chosen, :box_size]
        drawn[:, 2] -= drawn[:, 5] / 2
        return zip(drawn, start[chosen], count[chosen])

    def _read(self, start, count):
        """(count, columns) float32 points of one object."""
        numbers = np.fromfile(
            self.points_path, dtype=np.float32, count=count * self.columns, offset=int(start) * self.columns * 4
        )
        if len(numbers) < count * self.columns:
            raise ValueError(f'{self.points_path} ends before its object at point {start}: make the database again')
        return numbers.reshape(-1, self.columns)


def _overlaps(box, others):
    """bool: whether a box's rectangle, seen from above, overlaps one of ``others``."""
    if not len(others):
        return False
    rectangles = torch.from_numpy(np.concatenate([box[None], others])[:, [0, 1, 3, 4, 6]])
    # mmcv's angles turn from x to y when `clockwise`, as in an image; so do ours
    return bool((box_iou_rotated(rectangles[:1], rectangles[1:], clockwise=True) > 0).any())
