"""AOA's last two steps in both orders: project then upsample (ours), upsample then project (the released code)."""

import functools

import torch
from torch.nn.utils import parametrize

from mmdet3d_plugin.distill.aligners.aoa import AOAAligner

from .peers import align_after_upsampling
from .timing import paired_times
from .variants import check_equal, compare, variant_rows


def projection_order(rounds, device, sizes):
    """The two steps with a given projection matrix, and the whole aligner with attention and its Cayley map.

    Forward and backward, gradients of the student's map and of all parameters.
    """
    aligner = AOAAligner(student=sizes.student, teacher=sizes.teacher).to(device)
    steps = AOAAligner(student=sizes.student, teacher=sizes.teacher, attention=False).to(device)
    parametrize.remove_parametrizations(steps.projection.projection, 'weight')
    feature = torch.randn(1, *sizes.student.shape, device=device, requires_grad=True)
    numbers, rows = {}, [('AOA', 'project first', 'upsample first')]
    for subject, module in (('aoa_steps', steps), ('aoa', aligner)):
        orders = dict(project_first=module, upsample_first=functools.partial(align_after_upsampling, module))
        numbers[f'{subject}.max_difference'] = check_equal({name: run(feature) for name, run in orders.items()}, 1e-5)
        leaves = [feature, *module.parameters()]
        for label, run in (('forward', _forward), ('forward_backward', _forward_backward)):
            runs = {name: functools.partial(run, align, feature, leaves) for name, align in orders.items()}
            title = f'{"two steps" if module is steps else "whole aligner"}, {label.replace("_", " + ")}'
            numbers.update(compare(subject, label, paired_times(f'AOA, {title}', runs, rounds, device)))
            time_row, ratio_row = variant_rows(numbers, subject, label, runs)
            rows += [(f'{title}, ms', *time_row[1:]), (f'{title}, ratio', *ratio_row[1:])]
    return numbers, rows


def _forward(align, feature, leaves):
    with torch.no_grad():
        align(feature)


def _forward_backward(align, feature, leaves):
    torch.autograd.grad(align(feature).sum(), leaves, allow_unused=True)
