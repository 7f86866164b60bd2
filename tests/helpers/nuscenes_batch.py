"""Info files, data sets and collated batches made from a real or generated nuScenes data root, through our own code."""

import random
from pathlib import Path

import numpy as np
import torch
from mmcv import Config
from mmcv.parallel import MMDataParallel, collate
from mmdet3d.datasets import build_dataset
from nuscenes import NuScenes
from torch import nn

from mmdet3d_plugin.datasets.gt_database.build import build_database
from mmdet3d_plugin.datasets.infos.info_io import save_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos import build_infos
from mmdet3d_plugin.datasets.infos.nuscenes_infos_4d import build_infos_4d
from mmdet3d_plugin.datasets.pipelines.presets import camera_4d_pipelines, lidar_pipelines

REPO = Path(__file__).resolve().parents[2]
CLASSES = (
    'car',
    'truck',
    'construction_vehicle',
    'bus',
    'trailer',
    'barrier',
    'motorcycle',
    'bicycle',
    'pedestrian',
    'traffic_cone',
)
RANGE = (-51.2, -51.2, -5.0, 51.2, 51.2, 3.0)


def seed_everything(seed):
    """Python's, numpy's and torch's random state."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def load_tables(root):
    """The devkit's tables of a v1.0-mini data root."""
    return NuScenes('v1.0-mini', str(root), verbose=False)


def write_infos(nusc, folder, kind='4d', scenes=None, interval=3):
    """Info file of every scene of ``nusc``, or of those with the names ``scenes``, in ``folder``; returns its path."""
    infos = build_infos(nusc, [scene for scene in nusc.scene if scenes is None or scene['name'] in scenes]).infos
    if kind == '4d':
        infos = build_infos_4d(nusc, infos, interval).infos
    path = Path(folder) / f'nuscenes_infos_train_{kind}.pkl'
    save_infos(path, infos, version='v1.0-mini', split='train', kind=kind, interval=interval, max_prev=60)
    return path


def build(root, ann_file, pipeline, test_mode=False, **kwargs):
    """NuScenesBEVDataset over ``ann_file`` with a pipeline."""
    return build_dataset(
        dict(
            type='NuScenesBEVDataset',
            data_root=str(root),
            ann_file=str(ann_file),
            pipeline=pipeline,
            classes=CLASSES,
            test_mode=test_mode,
            **kwargs,
        )
    )


def distill_pipelines(final_dim=(96, 256), **kwargs):
    """(train, test) lists of the camera + teacher points pipelines at toy image size."""
    options = dict(class_names=CLASSES, point_cloud_range=RANGE, depth_bounds=(1.0, 60.0, 1.0), teacher_sweeps=10)
    return camera_4d_pipelines(final_dim=final_dim, **{**options, **kwargs})


def teacher_pipelines(**kwargs):
    """(train, test) lists of the LiDAR pipelines."""
    return lidar_pipelines(class_names=CLASSES, point_cloud_range=RANGE, **kwargs)


def config_dataset(name, root, info_files, databases, split='train'):
    """Data set of ``configs/_base_/datasets/<name>.py`` moved, see :func:`move_data`."""
    cfg = Config.fromfile(str(REPO / 'configs' / '_base_' / 'datasets' / f'{name}.py')).data[split]
    move_data(cfg, root, info_files, databases)
    return build_dataset(cfg)


def move_data(node, root, info_files, databases):
    """Point every data set and every object database below a config ``node`` at other files.

    Where these have no CAN bus files, motion comes from poses.

    Args:
        root (Path): data root.
        info_files (dict[str, str]): info file by kind, ``base`` and ``4d``.
        databases (dict[bool, str]): object database with (True) and without virtual points.
    """
    if isinstance(node, (list, tuple)):
        for child in node:
            move_data(child, root, info_files, databases)
    elif isinstance(node, dict):
        if 'ann_file' in node:
            node.data_root = str(root)
            node.ann_file = info_files['4d' if '_4d_' in node.ann_file else 'base']
        if node.get('type') == 'GTDatabaseSampler':
            node.info_path = databases[node.virtual_points]
        if node.get('type') == 'LoadEgoMotion' and not (root / 'can_bus').is_dir():
            node.motion_source = 'poses'
        for child in node.values():
            move_data(child, root, info_files, databases)


def write_data_files(root, folder):
    """(info files, databases) of every scene of a data root with virtual points, as :func:`move_data` takes them."""
    nusc = load_tables(root)
    info_files = {kind: str(write_infos(nusc, folder, kind)) for kind in ('base', '4d')}
    databases = {
        virtual_points: str(build_database(info_files['base'], root, 'nuscenes', virtual_points=virtual_points)[0])
        for virtual_points in (False, True)
    }
    return info_files, databases


class _Echo(nn.Module):
    def forward(self, **batch):
        return batch


def batch_of(samples):
    """What a detector gets: ``samples`` collated and scattered by MMDataParallel without a GPU."""
    return MMDataParallel(_Echo(), device_ids=[])(**collate(samples, samples_per_gpu=len(samples)))


def training_batch(root, folder, indices=(0, 1), final_dim=(96, 256), **kwargs):
    """A real batch for a distilled student from the data root ``root``; info files go to ``folder``.

    Args:
        root (Path): a v1.0-mini data root, for example the ``tiny_nuscenes`` fixture.
        folder (Path): a writable folder, for example pytest's ``tmp_path``.
        indices (Sequence[int]): samples of the batch.
        final_dim (tuple[int]): (H, W) of the images.
        kwargs: further arguments of ``camera_4d_pipelines``.
    """
    ann_file = write_infos(load_tables(root), folder)
    dataset = build(root, ann_file, distill_pipelines(final_dim, **kwargs)[0])
    return batch_of([dataset[index] for index in indices])
