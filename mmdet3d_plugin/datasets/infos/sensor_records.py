"""Sensor records of the infos: path, time and poses of one frame."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from dualdistill_runtime.poses import pose_matrix

from .cameras import LIDAR
from .columns import Frames, TableColumns


def sensors_to_global(tables: TableColumns, frames: Frames, rows: Sequence[int]) -> np.ndarray:
    """(K, 4, 4) float64 transforms from the sensor to the global frame, at the sensor's own time."""
    return pose_matrix(frames.translation[rows], frames.rotation[rows]) @ tables.mounts[frames.mount[rows]]


class RecordMaker:
    """Makes the record of a frame once, however often it is asked for.

    Infos list the same frame again and again. What one info lists twice, and the mount that frames of a sensor have in
    common, is one object, which pickle writes once.
    """

    def __init__(self, tables: TableColumns, frames: Frames):
        self._tables, self._frames = tables, frames
        self._records, self._present, self._mounts = {}, {}, {}

    def path(self, row: int) -> str:
        """File of a frame, relative to the data root."""
        return self._frames.filename[row].decode()

    def exists(self, row: int) -> bool:
        """Whether the file of a frame is there."""
        if row not in self._present:
            self._present[row] = os.path.isfile(os.path.join(self._tables.dataroot, self.path(row)))
        return self._present[row]

    def to_global(self, rows: Sequence[int]) -> np.ndarray:
        """See :func:`sensors_to_global`."""
        return sensors_to_global(self._tables, self._frames, np.array(rows, dtype=np.int64))

    def make(self, row: int) -> dict:
        """Record of a frame; rotations are quaternions (w, x, y, z), times microseconds. Not to be changed."""
        if row not in self._records:
            frames = self._frames
            mount = self._mount(int(frames.mount[row]))
            channel = frames.channels[frames.channel[row]]
            self._records[row] = dict(
                data_path=self.path(row),
                type='lidar' if channel == LIDAR else channel,
                sample_data_token=frames.token[row].decode(),
                timestamp=frames.timestamp[row].item(),
                sensor2ego_translation=mount['translation'],
                sensor2ego_rotation=mount['rotation'],
                ego2global_translation=frames.translation[row].tolist(),
                ego2global_rotation=frames.rotation[row].tolist(),
                **mount['intrinsic'],
            )
        return self._records[row]

    def _mount(self, row):
        """dict: Mount of a sensor, with its intrinsics as they stand in a record."""
        if row not in self._mounts:
            record = self._tables.calibrated_sensor[row]
            matrix = np.array(record['camera_intrinsic'], dtype=np.float64)
            intrinsic = dict(cam_intrinsic=matrix) if len(matrix) else {}
            self._mounts[row] = dict(record, intrinsic=intrinsic)
        return self._mounts[row]
