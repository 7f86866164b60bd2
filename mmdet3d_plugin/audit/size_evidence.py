"""What the weights of a CenterPoint head's size outputs tell: order of length and width, and of the tasks."""

import math

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .finding import Finding
from .meta_evidence import CONVERTER

# Mean length, width and height of nuScenes' classes, metres (published box statistics). A barrier is wider than long.
TYPICAL_SIZE = {
    'car': (4.63, 1.96, 1.74),
    'truck': (6.93, 2.51, 2.84),
    'construction_vehicle': (6.37, 2.85, 3.19),
    'bus': (10.5, 2.94, 3.47),
    'trailer': (12.29, 2.90, 3.87),
    'barrier': (0.50, 2.53, 0.98),
    'motorcycle': (2.11, 0.77, 1.47),
    'bicycle': (1.70, 0.60, 1.28),
    'pedestrian': (0.73, 0.67, 1.77),
    'traffic_cone': (0.41, 0.41, 1.07),
}
_SURE = 0.25  # share of the typical length-to-width ratios that the outputs must show, in one sense or the other
_CLOSE = 0.3  # mean distance of logarithmic sizes up to which a task order counts as confirmed


def mean_outputs(branch, shared_conv):
    """Outputs of one regression branch on an average cell, estimated from weights alone.

    Before the last convolution each channel is ReLU(batch norm): over the training data its input is distributed about
    as N(shift, scale^2), so its mean is known, and the last convolution is linear.

    Args:
        branch (nn.Sequential): zero or more ConvModules, then a convolution.
        shared_conv (nn.Module): ConvModule in front of the branch.

    Returns:
        (C,) float tensor, None where no batch normalisation precedes the last convolution.
    """
    before = branch[-2] if len(branch) > 1 else shared_conv
    norm = next((layer for layer in before.modules() if isinstance(layer, _BatchNorm)), None)
    last = branch[-1]
    if norm is None or not isinstance(last, nn.Conv2d):
        return None
    mean, spread = norm.bias.double(), norm.weight.double().abs().clamp(min=1e-6)
    ratio = mean / spread
    density = torch.exp(-0.5 * ratio**2) / math.sqrt(2 * math.pi)
    activation = mean * torch.special.ndtr(ratio) + spread * density
    response = last.weight.double().sum(dim=(2, 3)) @ activation
    return response if last.bias is None else response + last.bias.double()


@torch.no_grad()
def task_sizes(head):
    """Logarithmic sizes that a head gives on an average cell, beside what is typical for its tasks.

    Args:
        head (nn.Module): CenterHead with ``task_heads``, ``class_names`` and logarithmic sizes.

    Returns:
        tuple[Tensor, Tensor]: estimated and typical, each (tasks, 3) float64; None when the head does not tell.
    """
    names = [name for task in head.class_names for name in task]
    if not getattr(head, 'norm_bbox', False) or set(names) - set(TYPICAL_SIZE):
        return None
    branches = [getattr(task_head, 'dim', None) for task_head in head.task_heads]
    outputs = [branch if branch is None else mean_outputs(branch, head.shared_conv) for branch in branches]
    if any(output is None for output in outputs):
        return None
    typical = [
        torch.tensor([TYPICAL_SIZE[name] for name in task]).double().log().mean(dim=0) for task in head.class_names
    ]
    return torch.stack(outputs), torch.stack(typical)


def length_width_agreement(sizes):
    """How far size outputs follow l, w (1), follow w, l (-1) or neither (0) of the typical sizes.

    Args:
        sizes (tuple): see :func:`task_sizes`.

    Returns:
        float: projection of the estimated log(first / second size) of each task on the typical log(l / w), divided by
        the latter's square.
    """
    estimate, typical = (values[:, 0] - values[:, 1] for values in sizes)
    return float((estimate * typical).sum() / typical.square().sum())


def size_order_finding(head):
    """Whether the head's size outputs are l, w, h (mmdet3d 1.x) or w, l, h (before), by :func:`length_width_agreement`.

    Returns:
        Finding
    """
    sizes = task_sizes(head)
    if sizes is None:
        return Finding('boxes by weights', 'unknown', 'no logarithmic size outputs of nuScenes classes to tell from')
    agreement = length_width_agreement(sizes)
    shown = f'length to width as typical: {agreement:+.2f} (1 for l, w, h, -1 for w, l, h)'
    if agreement < -_SURE:
        return Finding('boxes by weights', 'wrong', f'{shown}: outputs of mmdet3d before 1.0, {CONVERTER}')
    return Finding('boxes by weights', 'ok' if agreement > _SURE else 'unknown', shown)


def task_order_finding(head):
    """Whether the tasks' size outputs fit the tasks' classes, or the same tasks in another order far better.

    Sizes do not tell the classes of one task apart. Length and width are compared without their order.

    Returns:
        Finding
    """
    sizes = task_sizes(head)
    if sizes is None:
        return Finding('classes by weights', 'unknown', 'no logarithmic size outputs of nuScenes classes to tell from')
    estimate, typical = (torch.cat([v[:, :2].sort(dim=1).values, v[:, 2:]], dim=1) for v in sizes)
    cost = (estimate[:, None] - typical[None]).abs().mean(dim=2)
    counts = torch.tensor([len(task) for task in head.class_names])
    cost = torch.where(counts[:, None] == counts[None], cost, torch.full_like(cost, 1e3))
    order = linear_sum_assignment(cost.numpy())[1]
    as_configured, best = float(cost.diagonal().mean()), float(cost[range(len(cost)), order].mean())
    shown = f'sizes of the tasks are {as_configured:.2f} from typical (mean logarithm)'
    if best < 0.5 * as_configured and as_configured > _CLOSE / 2:
        theirs = [list(head.class_names[index]) for index in order]
        text = f'{shown}, {best:.2f} in the order {theirs}: write the order of the file into the config'
        return Finding('classes by weights', 'wrong', text)
    confirmed = as_configured < _CLOSE and list(order) == sorted(order)
    return Finding('classes by weights', 'ok' if confirmed else 'unknown', shown)
