"""From instance masks of one image to painted LiDAR points and virtual points.

The method is that of "Multimodal Virtual Point 3D Detection" (arXiv 2111.06881, section 4): pixels drawn at random from
each mask take the depth of the nearest projected LiDAR point of the same instance.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

_MIN_DEPTH = 0.1  # m; nearer points are behind the image plane or on it


@dataclass(frozen=True)
class LiftedImage:
    """What one image gives.

    Attributes:
        owner (np.ndarray): (N,) int64, for each LiDAR point the instance whose mask it lies in, -1 for none.
        virtual_xyz (np.ndarray): (K, 3) float64, virtual points in the LiDAR frame, m.
        virtual_owner (np.ndarray): (K,) int64, instance of each virtual point.
        without_points (int): Instances that own no LiDAR point and so have no virtual points.
    """

    owner: np.ndarray
    virtual_xyz: np.ndarray
    virtual_owner: np.ndarray
    without_points: int


def project_points(xyz, image):
    """LiDAR points that are seen in an image.

    Args:
        xyz (np.ndarray): (N, 3) float64 in the LiDAR frame, m.
        image (CameraImage): Where to project to.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Indices (n,) of the points inside the image, their columns and rows
        (n, 2) px, not rounded, and their depths (n,) along the optical axis, m.
    """
    transform = image.intrinsic @ image.lidar_to_camera[:3]
    u_depth, v_depth, depth = transform[:, :3] @ xyz.T + transform[:, 3:]
    index = np.flatnonzero(depth > _MIN_DEPTH)  # most points are behind a camera: drop them before anything else
    depth = depth[index]
    u, v = u_depth[index] / depth, v_depth[index] / depth
    inside = np.flatnonzero((u >= -0.5) & (u < image.width - 0.5) & (v >= -0.5) & (v < image.height - 0.5))
    return index[inside], np.column_stack([u[inside], v[inside]]), depth[inside]


def unproject_pixels(pixels, depth, image):
    """(n, 3) float64 points in the LiDAR frame of pixels (n, 2: column, row) with depths (n,), m."""
    rays = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(image.intrinsic).T
    rotation, translation = image.lidar_to_camera[:3, :3], image.lidar_to_camera[:3, 3]
    return (rays * depth[:, None] - translation) @ rotation


def owners(cols, rows, instances):
    """For each pixel the instance with the highest score whose mask covers it; of equal scores the first.

    Args:
        cols (np.ndarray), rows (np.ndarray): (n,) int64 pixels.
        instances (list[InstanceMask]): Instances.

    Returns:
        np.ndarray: (n,) int64, -1 where there is none.
    """
    owner = np.full(len(cols), -1, dtype=np.int64)
    for index in sorted(range(len(instances)), key=lambda i: (-instances[i].score, i)):
        instance = instances[index]
        x, y = cols - instance.left, rows - instance.top
        height, width = instance.mask.shape
        free = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height) & (owner < 0))
        owner[free[instance.mask[y[free], x[free]]]] = index
    return owner


def sample_pixels(instance, count, rng):
    """Random pixels of a mask, all different if there are ``count`` of them, else with replacement.

    Args:
        instance (InstanceMask): Mask.
        count (int): Number of pixels.
        rng (np.random.Generator): Source of randomness.

    Returns:
        np.ndarray: (count, 2) int64 column and row in the image.
    """
    found = np.flatnonzero(instance.mask)
    rows, cols = np.divmod(rng.choice(found, count, replace=len(found) < count), instance.mask.shape[1])
    return np.column_stack([cols + instance.left, rows + instance.top])


def lift_instances(xyz, image, instances, num_points, rng):
    """Paint LiDAR points and make virtual points of one image.

    A pixel that several masks cover belongs to the one with the highest score, so each LiDAR point has one owner.
    Virtual points are drawn from whole masks, as the authors do.

    Args:
        xyz (np.ndarray): (N, 3) float64 points of the sweep in its LiDAR frame, m.
        image (CameraImage): Image.
        instances (list[InstanceMask]): Its instances.
        num_points (int): Virtual points of each instance that owns a LiDAR point.
        rng (np.random.Generator): Source of randomness.

    Returns:
        LiftedImage: See there.
    """
    owner = np.full(len(xyz), -1, dtype=np.int64)
    index, pixels, depth = project_points(xyz, image)
    cols, rows = np.floor(pixels + 0.5).astype(np.int64).T
    owner[index] = owners(cols, rows, instances)
    seen = owner[index] >= 0
    pixels, depth, seen_owner = pixels[seen], depth[seen], owner[index][seen]
    with_points = np.unique(seen_owner)
    if not len(with_points):
        return LiftedImage(owner, np.zeros((0, 3)), np.zeros(0, dtype=np.int64), len(instances))
    drawn = np.concatenate([sample_pixels(instances[number], num_points, rng) for number in with_points])
    drawn_owner = np.repeat(with_points, num_points)
    # One search for all instances: a third coordinate keeps them further apart than any two pixels of the image.
    apart = 2.0 * (image.width + image.height)
    tree = cKDTree(np.column_stack([pixels, seen_owner * apart]))
    _, nearest = tree.query(np.column_stack([drawn, drawn_owner * apart]))
    virtual = unproject_pixels(drawn, depth[nearest], image)
    return LiftedImage(owner, virtual, drawn_owner, len(instances) - len(with_points))
