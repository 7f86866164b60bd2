"""AOA: attention-guided orthogonal alignment of a student level with a teacher level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ...structures import BEVLevel
from ..registry import DISTILL
from .base import Aligner
from .orthogonal import OrthogonalProjection
from .position_attention import PositionAttention


@DISTILL.register_module()
class AOAAligner(Aligner):
    """Attention at the student's size, orthogonal projection to the teacher's channels, bilinear upsampling.

    The projection comes before the upsampling: both are linear and interpolation weights sum to one, so they commute
    (bias included), and projecting first costs H W instead of H_T W_T matrix products.

    Args:
        student, teacher: given by the builder.
        attention: False leaves the attention out (ablation: orthogonal only).
        orthogonal: False uses an unconstrained 1x1 convolution as projection (ablation: attention only).
        identity: see :class:`OrthogonalProjection`.
        num_heads, softmax_scale, ffn_ratio, ffn_act, norm_cfg, residual, content, pool: see
            :class:`PositionAttention`.
    """

    def __init__(
        self,
        *,
        student: BEVLevel,
        teacher: BEVLevel,
        attention: bool = True,
        orthogonal: bool = True,
        identity: bool = False,
        num_heads: int = 8,
        softmax_scale: float = 1.0,
        ffn_ratio: int = 4,
        ffn_act: str = 'ReLU',
        norm_cfg: Mapping[str, Any] = dict(type='BN'),  # noqa: B006 (read only)
        residual: bool = False,
        content: bool = False,
        pool: int = 1,
    ) -> None:
        super().__init__(student=student, teacher=teacher)
        if not (attention or orthogonal):
            raise ValueError('AOAAligner with neither attention nor orthogonal: use type="Conv1x1Aligner" instead')
        if identity and not orthogonal:
            raise ValueError('AOAAligner with identity=True starts its orthogonal projection so: set orthogonal=True')
        self.attention: nn.Module = nn.Identity()
        if attention:
            self.attention = PositionAttention(
                student,
                num_heads=num_heads,
                softmax_scale=softmax_scale,
                ffn_ratio=ffn_ratio,
                ffn_act=ffn_act,
                norm_cfg=norm_cfg,
                residual=residual,
                content=content,
                pool=pool,
            )
        self.projection: nn.Module
        if orthogonal:
            self.projection = OrthogonalProjection(student.channels, teacher.channels, identity)
        else:
            self.projection = nn.Conv2d(student.channels, teacher.channels, 1)

    def align(self, feature: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C_T, H_T, W_T)."""
        return self.resize(self.projection(self.attention(feature)))
