"""Rigid transforms between nuScenes' sensor, ego and global frames, float64 throughout.

Global coordinates reach thousands of metres, where float32 resolves only a tenth of a millimetre to a millimetre.
"""

import numpy as np


def rotation_matrices(quaternions):
    """Rotation matrices of quaternions (w, x, y, z), which are brought to length 1 first.

    Args:
        quaternions (np.ndarray | Sequence): (..., 4).

    Returns:
        np.ndarray: (..., 3, 3) float64.
    """
    quaternions = np.asarray(quaternions, dtype=np.float64)
    w, x, y, z = np.moveaxis(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quaternion_of(rotation):
    """Unit quaternion (w, x, y, z), w >= 0, of a (3, 3) rotation matrix; inverse of :func:`rotation_matrices`."""
    r = np.asarray(rotation, dtype=np.float64)
    # 4 q q^T is known from the matrix. Its column with the largest diagonal entry is the one with the most digits.
    trace = np.trace(r)
    products = np.array(
        [
            [1 + trace, r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], 1 + 2 * r[0, 0] - trace, r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], 1 + 2 * r[1, 1] - trace, r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], 1 + 2 * r[2, 2] - trace],
        ]
    )
    found = products[:, np.argmax(np.diag(products))]
    return found / np.linalg.norm(found) * (1 if found[0] >= 0 else -1)


def pose_matrix(translation, rotation):
    """Poses as 4x4 matrices that map points (column vectors) of the posed frame into its parent frame.

    Args:
        translation (np.ndarray | Sequence[float]): (..., 3) in metres.
        rotation (np.ndarray | Sequence[float]): (..., 4) quaternions (w, x, y, z).

    Returns:
        np.ndarray: (..., 4, 4) float64.
    """
    translation = np.asarray(translation, dtype=np.float64)
    matrix = np.zeros((*translation.shape[:-1], 4, 4))
    matrix[..., :3, :3] = rotation_matrices(rotation)
    matrix[..., :3, 3] = translation
    matrix[..., 3, 3] = 1
    return matrix


def invert_pose(matrix):
    """Inverses of rigid (..., 4, 4) transforms."""
    inverse = np.zeros_like(matrix)
    transposed = np.swapaxes(matrix[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = transposed
    inverse[..., :3, 3] = -(transposed @ matrix[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def sensor_to_global(record):
    """(4, 4) transform from a sensor to the global frame, at the sensor's own time.

    Args:
        record (dict): With ``sensor2ego_translation|rotation`` and ``ego2global_translation|rotation``.
    """
    ego_to_global = pose_matrix(record['ego2global_translation'], record['ego2global_rotation'])
    return ego_to_global @ pose_matrix(record['sensor2ego_translation'], record['sensor2ego_rotation'])
