"""BEV pooling: sum depth-weighted image features into BEV cells without ever holding the frustum volume.

Lift-splat (LSS, arXiv 2008.05711) puts ``depth_prob[d] * context`` at every frustum point and sums points per BEV cell.
The (B, N, D, h, w, C) volume of all products is what makes it expensive: here products are made where they are summed.
"""

import torch
from torch import Tensor

from ..backend import select_backend
from .plan import BEVPoolPlan
from .reference import bev_pool_reference


def bev_pool(depth_prob: Tensor, context: Tensor, plan: BEVPoolPlan) -> Tensor:
    """Sum ``depth_prob * context`` over the frustum points of each BEV cell.

    Compiled operators where there are any, else plain torch; ``MMDET3D_PLUGIN_OPS`` forces one (:mod:`..backend`). Sums
    and both gradients are the same bit for bit on every run and with any number of threads.

    Args:
        depth_prob: (B, N, D, h, w) weight of every depth bin of every pixel.
        context: (B, N, C, h, w) feature of every pixel.
        plan: BEVPoolPlan of the same frustum.

    Returns:
        (B, C, H, W); sums run in fp32 (fp64 for fp64 inputs) and the result keeps that type, whatever the
        precision of the inputs. Cells no point falls in are zero.

    Raises:
        ValueError: shapes or devices differ from the plan's, or inputs are not floating point.
        RuntimeError: ``MMDET3D_PLUGIN_OPS`` names a back end that cannot run here.
    """
    plan.check_inputs(depth_prob, context)
    if select_backend(depth_prob.device.type) == 'reference':
        return bev_pool_reference(depth_prob, context, plan)
    return torch.ops.dualdistill.bev_pool(
        depth_prob, context, plan.points, plan.pixels, plan.cell_starts, plan.point_cells, *plan.bev_size
    )
