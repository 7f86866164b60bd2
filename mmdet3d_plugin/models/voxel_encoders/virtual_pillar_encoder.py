"""Pillar features of a cloud that holds real, painted and virtual points."""

import torch
from mmdet3d.models.builder import VOXEL_ENCODERS

from ...structures.virtual_points import FLAG_COLUMN, POINT_COLUMNS, VIRTUAL
from .dynamic_pillar_encoder import DynamicPillarEncoder


@VOXEL_ENCODERS.register_module()
class VirtualPillarEncoder(DynamicPillarEncoder):
    """DynamicPillarEncoder for MVP's points (arXiv 2111.06881): x, y, z, reflectance, 11 labels, flag, dt.

    The flag of a point, 1 for a raw, 0 for a painted and -1 for a virtual one, becomes what the network sees: 0 for
    points that the LiDAR measured, 1 for virtual ones. With ``in_channels=17`` the first layer has 22 inputs. The
    labels already tell raw and painted points apart (raw ones carry ones).

    Args:
        kwargs: those of :class:`DynamicPillarEncoder`; ``in_channels`` is 17 for the points of
            :class:`LoadVirtualPointsFromFile`.
    """

    def _decorate(self, features, coors, groups):
        """(M, in_channels + 3 + center_dims), as the base class, with the flag replaced."""
        decorated = super()._decorate(features, coors, groups)
        flag = self.raw_channels - POINT_COLUMNS + FLAG_COLUMN  # last but one
        is_virtual = (features[:, flag, None] == VIRTUAL).to(features.dtype)
        return torch.cat([decorated[:, :flag], is_virtual, decorated[:, flag + 1 :]], dim=1)
