"""Rigid transforms between nuScenes' sensor, ego and global frames, float64 throughout.

Global coordinates reach thousands of metres, where float32 resolves only a tenth of a millimetre to a millimetre.
"""

import numpy as np
from pyquaternion import Quaternion


def pose_matrix(translation, rotation):
    """Pose as a 4x4 matrix that maps points (column vectors) of the posed frame into its parent frame.

    Args:
        translation (Sequence[float]): (3,) in metres.
        rotation (Sequence[float]): Unit quaternion (w, x, y, z).

    Returns:
        np.ndarray: (4, 4) float64.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = Quaternion(rotation).rotation_matrix
    matrix[:3, 3] = translation
    return matrix


def invert_pose(matrix):
    """Inverse of a rigid 4x4 transform."""
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse


def sensor_to_global(record):
    """(4, 4) transform from a sensor to the global frame, at the sensor's own time.

    Args:
        record (dict): With ``sensor2ego_translation|rotation`` and ``ego2global_translation|rotation``.
    """
    ego_to_global = pose_matrix(record['ego2global_translation'], record['ego2global_rotation'])
    return ego_to_global @ pose_matrix(record['sensor2ego_translation'], record['sensor2ego_rotation'])
