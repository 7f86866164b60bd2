"""A collated training batch at toy size."""

from mmdet3d_plugin.synthetic import random_batch

TOY_RANGE = (-12.8, -12.8, -5.0, 12.8, 12.8, 3.0)


def make_batch(
    batch_size=2,
    num_frames=2,
    num_cams=6,
    image_size=(64, 176),
    stride=16,
    point_cloud_range=TOY_RANGE,
    num_boxes=5,
    num_points=600,
    augment=True,
    seed=0,
):
    """:func:`random_batch.make_batch` with defaults that toy models run on."""
    return random_batch.make_batch(
        batch_size=batch_size,
        num_frames=num_frames,
        num_cams=num_cams,
        image_size=image_size,
        stride=stride,
        point_cloud_range=point_cloud_range,
        num_boxes=num_boxes,
        num_points=num_points,
        augment=augment,
        seed=seed,
    )
