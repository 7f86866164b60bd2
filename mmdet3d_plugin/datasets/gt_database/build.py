"""Making a ground-truth database: every annotated object of a data set with the points inside its box."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from mmcv.ops import points_in_boxes_cpu

from ...structures.atomic_file import replace_when_done
from ..infos.parallel import iterate_with_tables
from ..nuscenes_bev_dataset import NuScenesBEVDataset
from ..pipelines.presets import lidar_loading
from .files import NUM_SWEEPS, ObjectClass, database_filenames, save_database_infos


def build_database(info_path, data_root, tag, num_sweeps=NUM_SWEEPS, virtual_points=False, workers=1):
    """Write the ground-truth database of an info file beside it.

    The same inputs give the same bytes, whatever the number of workers. A reader never sees half a database: points and
    infos are renamed when complete, and infos name the size of the points they belong to.

    Args:
        info_path (str | Path): Base info file.
        data_root (str | Path): nuScenes data root.
        tag (str): Prefix of the files.
        num_sweeps (int): Sweeps in the objects' points, the keyframe included; the nearest ones.
        virtual_points (bool): With painted and virtual points.
        workers (int): Processes.

    Returns:
        tuple[Path, dict[str, int], int]: The infos file, objects of each class, and boxes left out without a point.
    """
    pipeline = [*lidar_loading(num_sweeps, virtual_points, test_mode=True), dict(type='LoadAnnotations3D')]
    dataset = NuScenesBEVDataset(
        str(info_path), str(data_root), pipeline, info_kind='base', filter_empty_gt=False, use_valid_flag=True
    )
    dataset.check_files()
    infos_name, points_name = database_filenames(tag, dataset.metadata['split'], virtual_points)
    folder = Path(info_path).parent
    rows, start, empty = defaultdict(list), 0, 0
    with replace_when_done(folder / points_name) as temporary, open(temporary, 'wb') as stream:
        for labels, boxes, clouds in iterate_with_tables(_objects, range(len(dataset)), dataset, workers):
            for label, box, points in zip(labels, boxes, clouds):
                if not len(points):
                    empty += 1
                    continue
                points.tofile(stream)
                rows[dataset.CLASSES[label]].append((box, start, len(points)))
                start += len(points)
    objects = {name: _as_arrays(rows[name]) for name in dataset.CLASSES if name in rows}
    metadata = dataset.metadata
    path = folder / infos_name
    save_database_infos(path, objects, points_name, metadata['version'], metadata['split'], num_sweeps, virtual_points)
    return path, {name: len(entry.count) for name, entry in objects.items()}, empty


def _objects(dataset, index):
    """Labelled objects of one sample.

    Returns:
        tuple: (K,) int64 labels, (K, 9) float32 boxes with gravity centres, and K arrays (M, 5 or 17) float32.
    """
    torch.set_num_threads(1)  # the worker processes fill the cores
    item = dataset.prepare_train_data(index)
    known = item['gt_labels_3d'] >= 0
    labels, boxes = item['gt_labels_3d'][known], item['gt_bboxes_3d'][torch.from_numpy(known)]
    points = item['points'].tensor
    inside = points_in_boxes_cpu(points[None, :, :3], boxes.tensor[None, :, :7])[0].bool()
    clouds = [points[column].numpy() for column in inside.T]
    rows = torch.cat([boxes.gravity_center, boxes.tensor[:, 3:]], dim=1)
    return labels, rows.numpy(), clouds


def _as_arrays(rows):
    boxes, start, count = zip(*rows)
    return ObjectClass(np.stack(boxes), np.array(start, dtype=np.int64), np.array(count, dtype=np.int64))
