"""From image features to BEV maps."""

from .lss_view_transform import LSSViewTransform

__all__ = ['LSSViewTransform']
