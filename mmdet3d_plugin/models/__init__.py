"""Networks; importing this package registers them."""

from . import backbones, bev_transformer, detectors, heads, necks, view_transforms, voxel_encoders  # noqa: F401
