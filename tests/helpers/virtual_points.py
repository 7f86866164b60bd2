"""Files of virtual points with known content, where no masks are needed."""

from pathlib import Path

import numpy as np

from mmdet3d_plugin.datasets.virtual_point_files import VirtualPoints, virtual_path, write_virtual_file

PAINTED, VIRTUAL = 30, 40  # points of each kind in a file of write_virtual_tree


def labelled(xyz, labels, score=0.5):
    """(N, C + 11) float32: coordinates, one-hot class, score."""
    one_hot = np.eye(10)[np.asarray(labels)]
    return np.concatenate([xyz, one_hot, np.full((len(xyz), 1), score)], axis=1).astype(np.float32)


def link_tree(source, root):
    """A data root of links to the files of ``source``, in folders of its own, which can be written to."""
    source = Path(source).resolve()
    for path in source.rglob('*'):
        if path.is_file():
            link = Path(root) / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return Path(root)


def write_virtual_tree(source, root):
    """A copy of the data root ``source`` (files are links) in which every LiDAR file has virtual points.

    The first 30 points of a sweep are painted; 40 virtual ones lie 0.1 m above its first 40.

    Returns:
        Path: ``root``.
    """
    link_tree(source, root)
    for path in sorted(Path(root).glob('s*s/LIDAR_TOP/*.bin')):
        raw = np.fromfile(path, dtype=np.float32).reshape(-1, 5)
        painted = labelled(raw[:PAINTED, :4], np.arange(PAINTED) % 10)
        virtual = labelled(raw[:VIRTUAL, :3] + [0, 0, 0.1], np.arange(VIRTUAL) % 10, score=0.25)
        write_virtual_file(virtual_path(path), VirtualPoints(painted, virtual))
    return Path(root)
