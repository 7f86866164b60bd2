"""Checkpoints in the layout and conventions of mmdet3d < 1.0 code bases, and what such a head's output means there.

The decoder shares nothing with the package: it loops over cells, and its boxes have the old axes: w along x and l along
y at yaw 0, where the object faces -y, and yaw turns it clockwise.
"""

import math

import torch
import torch.nn.functional as F


def random_weights(state, seed=0):
    """Random tensors of the names and shapes of a state dict; heatmap logits lie around -1."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in state.items():
        noise = torch.randn(value.shape, generator=generator)
        if not value.is_floating_point():
            weights[name] = value.clone()
        elif name.endswith('running_var'):
            weights[name] = 0.5 + torch.rand(value.shape, generator=generator)
        elif value.ndim > 1:
            weights[name] = noise / value[0].numel() ** 0.5
        elif 'heatmap.1.' in name:
            weights[name] = -torch.ones(value.shape)
        else:
            weights[name] = (1.0 if name.endswith('.weight') else 0.0) + 0.1 * noise
    return weights


def head_maps(state, neck, task):
    """Output maps of one task of a legacy CenterPoint head on a BEV map, from the weights alone."""
    shared = _conv_norm_relu(state, 'pts_bbox_head.shared_conv', neck)
    maps = {}
    for name in ('reg', 'height', 'dim', 'rot', 'vel', 'heatmap'):
        prefix = f'pts_bbox_head.task_heads.{task}.{name}'
        hidden = _conv_norm_relu(state, f'{prefix}.0', shared)
        maps[name] = F.conv2d(hidden, state[f'{prefix}.1.weight'], state[f'{prefix}.1.bias'], padding=1)
    return maps


def _conv_norm_relu(state, prefix, x):
    x = F.conv2d(x, state[f'{prefix}.conv.weight'], state.get(f'{prefix}.conv.bias'), padding=1)
    values = (state[f'{prefix}.bn.{name}'] for name in ('running_mean', 'running_var', 'weight', 'bias'))
    return F.relu(F.batch_norm(x, *values))


def decode(state, neck, tasks, origin, cell, threshold, seconds=1.0):
    """Detections of one sample, in order of task and falling score.

    Args:
        state: legacy state dict; ``neck``: (1, C, H, W); ``tasks``: classes of each task.
        origin, cell: corner and size of the map's cells, metres.
        seconds: divisor of the velocity channels.

    Returns:
        list of (label, score, named points): centre, velocity, and the bottom and top corners called by their place on
        the object, metres.
    """
    found, first_label = [], 0
    for task, classes in enumerate(tasks):
        maps = {name: value[0].double() for name, value in head_maps(state, neck, task).items()}
        scores = maps['heatmap'].sigmoid()
        of_task = []
        for label, row, col in (scores > threshold).nonzero().tolist():
            at = {name: value[:, row, col].tolist() for name, value in maps.items() if name != 'heatmap'}
            points = box_points(
                origin[0] + (col + at['reg'][0]) * cell,
                origin[1] + (row + at['reg'][1]) * cell,
                at['height'][0],
                *(math.exp(value) for value in at['dim']),
                math.atan2(*at['rot']),
            )
            points['velocity'] = (at['vel'][0] / seconds, at['vel'][1] / seconds, 0.0)
            of_task.append((first_label + label, scores[label, row, col].item(), points))
        found += sorted(of_task, key=lambda entry: -entry[1])
        first_label += len(classes)
    return found


def box_points(x, y, z, width, length, height, yaw):
    """Centre and corners of an old-convention box whose (x, y, z) is the gravity centre."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    points = {'centre': (x, y, z)}
    for front, along in (('front', -length / 2), ('rear', length / 2)):
        for side, across in (('left', width / 2), ('right', -width / 2)):
            corner_x, corner_y = x + across * cos + along * sin, y - across * sin + along * cos
            points[f'{front} {side} bottom'] = (corner_x, corner_y, z - height / 2)
            points[f'{front} {side} top'] = (corner_x, corner_y, z + height / 2)
    return points
