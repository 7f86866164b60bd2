"""Networks; importing this package registers them."""

from . import backbones, detectors, heads, necks, view_transforms, voxel_encoders  # noqa: F401
