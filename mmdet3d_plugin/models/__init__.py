"""Networks; importing this package registers them."""

from . import backbones, detectors, heads, middle_encoders, necks, view_transforms, voxel_encoders  # noqa: F401
