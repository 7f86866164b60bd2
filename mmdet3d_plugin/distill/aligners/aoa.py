"""AOA: attention-guided orthogonal alignment of a student level with a teacher level."""

from torch import nn

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
        student, teacher (BEVLevel): given by the builder.
        attention (bool): False leaves the attention out (ablation: orthogonal only).
        orthogonal (bool): False uses an unconstrained 1x1 convolution as projection (ablation: attention only).
        num_heads (int), softmax_scale (float), ffn_ratio (int), ffn_act (str), norm_cfg (dict), residual (bool):
            see :class:`PositionAttention`.
    """

    def __init__(
        self,
        *,
        student,
        teacher,
        attention=True,
        orthogonal=True,
        num_heads=8,
        softmax_scale=1.0,
        ffn_ratio=4,
        ffn_act='ReLU',
        norm_cfg=dict(type='BN'),  # noqa: B006 (read only)
        residual=False,
    ):
        super().__init__(student=student, teacher=teacher)
        if not (attention or orthogonal):
            raise ValueError('AOAAligner with neither attention nor orthogonal: use type="Conv1x1Aligner" instead')
        if attention:
            self.attention = PositionAttention(
                student,
                num_heads=num_heads,
                softmax_scale=softmax_scale,
                ffn_ratio=ffn_ratio,
                ffn_act=ffn_act,
                norm_cfg=norm_cfg,
                residual=residual,
            )
        else:
            self.attention = nn.Identity()
        if orthogonal:
            self.projection = OrthogonalProjection(student.channels, teacher.channels)
        else:
            self.projection = nn.Conv2d(student.channels, teacher.channels, 1)

    def align(self, feature):
        """(B, C, H, W) -> (B, C_T, H_T, W_T)."""
        return self.resize(self.projection(self.attention(feature)))
