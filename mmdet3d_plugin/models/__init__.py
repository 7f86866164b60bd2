"""Networks; importing this package registers them."""

from . import (  # noqa: F401
    backbones,
    bev_transformer,
    detectors,
    heads,
    middle_encoders,
    necks,
    view_transforms,
    voxel_encoders,
)
