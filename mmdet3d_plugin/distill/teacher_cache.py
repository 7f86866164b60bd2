"""A teacher's BEV maps on disk, for students that meet the same samples again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mmcv
import mmdet3d
import torch
from mmdet3d.utils import get_root_logger
from torch import Tensor

from ..models.detectors.base import BEVDetector
from ..ops.backend import select_backend
from ..structures import BEVFeatures
from ..structures.atomic_file import replace_when_done

_CODE = ('.py', '.h', '.hpp', '.cpp', '.cu', '.cuh')


class TeacherCache:
    """Maps of a frozen teacher by what it saw: computed and stored the first time, read every other time.

    A map's file is found by a hash of the sample's points as they reach the teacher, after augmentation, so it never
    answers for anything else: other sweeps, a flip, other data. Its folder is named after a hash of the teacher's
    config and weights, the levels, the batch size, the device, the back end of the operators, the versions of torch,
    mmcv and mmdet3d, and this package's own code: with any other of these, sums may be rounded otherwise. So a run with
    a cache is, bit for bit, the run without it, on the same machine with as many threads. (On a GPU, as far as the
    teacher's own maps repeat there.) Teachers whose code lies in another package want a new folder when it changes.

    Files appear when complete, so several processes and several runs may share a folder. Nothing is ever deleted.

    Args:
        teacher: reads ``points`` and nothing else.
        config: the teacher's model config.
        dir: folder; each teacher gets one of its own inside.

    Raises:
        ValueError: the teacher reads more than points, or remembers frames.
    """

    def __init__(self, teacher: BEVDetector, config: Mapping[str, Any], *, dir: str) -> None:
        if teacher.inputs != {'points'} or teacher.sequential:
            raise ValueError(
                f'teacher.cache works for a teacher that reads points alone, and {type(teacher).__name__} reads '
                f'{", ".join(sorted(teacher.inputs))}{" and frames before" if teacher.sequential else ""}: leave it out'
            )
        self._teacher, self._config, self._dir = teacher, config, dir
        self._folders: dict[tuple[str, str, int], Path] = {}
        self._full = False

    def extract_bev(self, batch: Mapping[str, Any], names: Iterable[str] | None = None) -> BEVFeatures:
        """The teacher's :meth:`~BEVDetector.extract_bev`, computed if any sample of the batch has no maps yet.

        Args:
            batch: collated batch.
            names: levels that are wanted beside the one that the head reads; None for all.
        """
        points = batch['points']
        folder = self._folder(names, points[0].device, len(points))
        paths = [folder / file_name(cloud) for cloud in points]
        maps = [self._read(path, points[0].device) for path in paths]
        if any(known is None for known in maps):
            bev = self._teacher.extract_bev(batch)
            for row, (path, known) in enumerate(zip(paths, maps)):
                if known is None:
                    self._write(path, bev, names, row)
            return bev
        levels = {name: torch.stack([known['levels'][name] for known in maps]) for name in maps[0]['levels']}
        return BEVFeatures(levels, maps[0]['head_input'])

    def _folder(self, names, device, batch_size):
        key = ('all levels' if names is None else ' '.join(sorted(set(names))), device.type, batch_size)
        if key not in self._folders:
            folder = Path(self._dir, self._fingerprint(key))
            known = sum(1 for _ in folder.glob('*/*.pt'))
            get_root_logger().info(f'teacher: maps of {known} sample(s) are in {folder}, new ones go there')
            self._folders[key] = folder
        return self._folders[key]

    def _fingerprint(self, key):
        versions = [module.__version__ for module in (torch, mmcv, mmdet3d)]
        digest = hashlib.sha256(json.dumps([*versions, select_backend(key[1]), code_digest(), *key]).encode())
        digest.update(json.dumps(self._config, sort_keys=True, default=str).encode())
        for name, value in self._teacher.state_dict().items():
            digest.update(
                name.encode() + value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            )
        return digest.hexdigest()[:16]

    @staticmethod
    def _read(path, device):
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):
            return None  # not there, or a damaged disk: computed anew

    def _write(self, path, bev, names, row):
        if self._full:
            return
        wanted = bev.levels if names is None else dict.fromkeys([*names, bev.head_input])
        # a row alone would be saved with the storage of the whole batch
        levels = {name: bev.level(name)[row].clone() for name in wanted}
        try:
            with replace_when_done(path) as temporary:
                torch.save(dict(head_input=bev.head_input, levels=levels), temporary)
        except OSError as error:
            self._full = True
            warnings.warn(
                f'teacher.cache: {os.strerror(error.errno or 0)}: {path}; no more maps are stored in this run'
            )


@functools.cache
def code_digest() -> str:
    """Hash of all code of this package, compiled and interpreted: what it computes may change with any of it."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    # os.walk passes over the folder of an operator that another process has just compiled
    for path in sorted(Path(folder, name) for folder, _, names in os.walk(package) for name in names):
        if path.suffix in _CODE:
            digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def file_name(points: Tensor) -> str:
    """Where the maps of a cloud lie in the folder of a teacher: a hash of the (N, C) points, in order."""
    array = points.detach().cpu().contiguous().numpy()
    digest = hashlib.blake2b(f'{array.shape} {array.dtype}'.encode(), digest_size=16)
    digest.update(array.tobytes())
    return f'{digest.hexdigest()[:2]}/{digest.hexdigest()[2:]}.pt'
