"""Weights of BEVDet, DistillBEV and mmdet3d < 1.0 code bases, renamed and changed so that this code says the same.

Almost every parameter has the same name and meaning there. What differs:

- Boxes. The old heads predict (w, l, h) and sine and cosine of yaw_old = -yaw - pi/2 (clockwise from -y), ours
  (l, w, h) and those of yaw (counter-clockwise from x). Hence sin yaw = -cos yaw_old and cos yaw = -sin yaw_old: both
  changes swap output channels of the last convolutions. Axes, centre offset, height of the gravity centre and velocity
  mean the same, sizes are metres or their logarithms in both. Query heads: see ``legacy_queries.py``.
- The depth net's deformable convolution may have a bias that the batch norm after it makes redundant.
- mmdet3d 1.0's hard pillar net sees one more number, the z offset to the pillar centre.
- The grid and frustum of the view transform are stored as parameters; here they follow from the config.
- Distilled checkpoints hold ``channel_wise_adaptations`` and ``spatial_wise_adaptations``, one of each a level.
- The BEV encoder of BEVFormer and of its teachers is part of the head there: see ``legacy_transformer.py``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .key_fit import TRACKED
from .legacy_queries import gives_boxes, old_box_rows
from .legacy_transformer import changed_value, encoder_name, why_unused

_DEPTH_CONV_BIAS = 'img_view_transformer.dcn.0.bias'
_DEPTH_NORM_MEAN = 'img_view_transformer.dcn.1.running_mean'
_BOX_CHANNELS = re.compile(r'task_heads\.\d+\.(?:task_head\.)?(dim|rot)\.\d+\.(?:weight|bias)$')
_FIRST_PILLAR_LAYER = re.compile(r'pts_voxel_encoder\.pfn_layers\.0\.(?:linear|0)\.weight$')
_POINTWISE_ADAPTATION = re.compile(r'channel_wise_adaptations\.(\d+)\.(?:[01]\.)?(weight|bias)$')
_SPATIAL_ADAPTATION = re.compile(r'spatial_wise_adaptations\.(\d+)\.(weight|bias)$')
_ADAPTATION = re.compile(r'(channel|spatial)_wise_adaptations\.')
_CONFIGURED = re.compile(r'(img_view_transformer\.(dx|bx|nx|frustum)|pts_bbox_head\.code_weights)$')


@dataclass
class Conversion:
    """What becomes of every entry of a checkpoint.

    Attributes:
        state: name here -> tensor.
        lines: for the reader, one a source entry: old name, new name or reason for leaving it out, change.
        unmapped: old names that nothing here corresponds to.
        missing: names of the model that nothing in the checkpoint corresponds to.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, source: str, target: str, value: Tensor, change: str = '') -> None:
        """Entry ``source`` becomes ``target``."""
        self.state[target] = value
        name = source if source == target else f'{source} -> {target}'
        self.lines.append(f'{name}  [{change}]' if change else name)

    def leave_out(self, source: str, reason: str) -> None:
        """Entry ``source`` has no use here."""
        self.lines.append(f'{source} left out: {reason}')


def plan_conversion(state: Mapping[str, Tensor], model: nn.Module) -> Conversion:
    """Convert a legacy state dict for a model of this code.

    Args:
        state: name -> tensor, without ``module.`` prefixes; not modified.
        model: what the result is for: CenterPointBEV, LidarFormer, BEVDepth4D, BEVFormer, or a DualDistill around one
            of the latter two.
    """
    own = model.state_dict()
    distill: Any = getattr(model, 'distill', None)
    levels = None if distill is None else list(distill['aligners'])
    cameras = getattr(getattr(model, 'student', model), 'cameras', None)
    conversion = Conversion()
    for key, value in state.items():
        if _CONFIGURED.search(key):
            conversion.leave_out(key, 'follows from the config')
        elif key.startswith('teacher_model.'):
            conversion.leave_out(key, 'a teacher is loaded from its own checkpoint')
        elif levels is None and _ADAPTATION.match(key):
            conversion.leave_out(key, 'serves distillation only, this config is a plain detector')
        elif key == _DEPTH_CONV_BIAS and key not in own:
            conversion.leave_out(key, f'taken off {_DEPTH_NORM_MEAN}')
        else:
            target = _renamed(key, levels)
            unused = why_unused(target, own)
            if unused:
                conversion.leave_out(key, unused)
            elif target in own:
                conversion.add(key, target, *_changed(key, target, value, state, own, cameras))
            else:
                conversion.unmapped.append(key)
    conversion.missing = [key for key in own if key not in conversion.state and not key.endswith(TRACKED)]
    return conversion


def _renamed(key, levels):
    """Name here of a legacy entry; ``levels`` are the distiller's level names in order, or None."""
    for pattern, template in (
        (_POINTWISE_ADAPTATION, 'distill.aligners.{}.conv.{}'),
        (_SPATIAL_ADAPTATION, 'distill.losses.{}.spatial_conv.{}'),
    ):
        match = pattern.match(key)
        if match and levels and int(match[1]) < len(levels):
            return template.format(levels[int(match[1])], match[2])
    return encoder_name(key)


def _changed(key, target, value, state, own, cameras):
    """Value here of a legacy entry, and what was done to it ('' for nothing)."""
    box = _BOX_CHANNELS.search(key)
    if box and box[1] == 'dim':
        return value[[1, 0, 2]], '(w, l, h) -> (l, w, h)'
    if box:
        return -value[[1, 0]], '(sin, cos) -> (-cos, -sin)'
    if gives_boxes(key, state):
        return old_box_rows(value), '(w, l) -> (l, w), (sin, cos) -> (-cos, -sin)'
    if key == _DEPTH_NORM_MEAN and _DEPTH_CONV_BIAS in state and _DEPTH_CONV_BIAS not in own:
        return value - state[_DEPTH_CONV_BIAS], f'minus {_DEPTH_CONV_BIAS}'
    if _FIRST_PILLAR_LAYER.search(key) and own[key].shape[1] == value.shape[1] + 1:
        return torch.cat([value, torch.zeros_like(value[:, :1])], dim=1), 'no weight on the z offset'
    return changed_value(target, value, own[target], cameras)
