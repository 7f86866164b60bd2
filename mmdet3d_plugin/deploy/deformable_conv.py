"""mmcv's deformable convolutions as samples and a matrix product, exactly: what any ONNX runtime can do.

A deformable convolution (arXiv 1703.06211, 1811.11168) reads the map bilinearly at each tap of its kernel, moved by an
offset and scaled by a mask, zero outside of the map. That is ``grid_sample``, and the kernel is a 1x1 convolution over
the taps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack
from torch import Tensor, nn

DEFORMABLE = (DeformConv2dPack, ModulatedDeformConv2dPack)


class SampledDeformConv(nn.Module):
    """The same values as one of mmcv's layers, whose parameters it shares.

    Args:
        layer: of :data:`DEFORMABLE`.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.modulated = isinstance(layer, ModulatedDeformConv2dPack)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, H', W')."""
        said = self.layer.conv_offset(x)
        taps = self.layer.weight.shape[2] * self.layer.weight.shape[3]
        offsets = said[:, : 2 * taps * self.layer.deform_groups]
        samples = self._samples(x, offsets, taps)
        if self.modulated:
            mask = said[:, 2 * taps * self.layer.deform_groups :].sigmoid()
            groups = self.layer.deform_groups
            samples = samples.unflatten(1, (groups, -1)) * mask.unflatten(1, (groups, 1, taps)).flatten(4)
            samples = samples.flatten(1, 2)
        kernel = self.layer.weight.flatten(1).unsqueeze(-1)
        out = F.conv1d(samples.flatten(1, 2), kernel, getattr(self.layer, 'bias', None), groups=self.layer.groups)
        return out.unflatten(2, said.shape[-2:])

    def _samples(self, x, offsets, taps):
        """(B, C, taps, H' * W')."""
        groups, (height, width) = self.layer.deform_groups, x.shape[-2:]
        moved = offsets.unflatten(1, (groups, taps, 2)).flatten(0, 1).flatten(3)
        rows, columns = self._places(*offsets.shape[-2:], x.device)
        grid = torch.stack(
            [(columns + moved[:, :, 1] + 0.5) * (2 / width) - 1, (rows + moved[:, :, 0] + 0.5) * (2 / height) - 1], -1
        )
        maps = x.unflatten(1, (groups, -1)).flatten(0, 1)
        samples = F.grid_sample(maps, grid, mode='bilinear', padding_mode='zeros', align_corners=False)
        return samples.unflatten(0, (-1, groups)).flatten(1, 2)

    def _places(self, height, width, device):
        """Where each tap of each output lies without an offset: rows and columns, each (taps, H' * W')."""
        kernel, outputs = self.layer.weight.shape[2:], (height, width)
        settings = zip(kernel, outputs, self.layer.stride, self.layer.padding, self.layer.dilation)
        axes = [
            torch.arange(count, device=device)[None] * stride
            + torch.arange(taps, device=device)[:, None] * dilation
            - pad
            for taps, count, stride, pad, dilation in settings
        ]
        rows = axes[0][:, None, :, None].expand(-1, kernel[1], -1, width)
        columns = axes[1][None, :, None, :].expand(kernel[0], -1, height, -1)
        return rows.flatten(2).flatten(0, 1).float(), columns.flatten(2).flatten(0, 1).float()


def sampled_deformable_convs(model: nn.Module) -> nn.Module:
    """The model itself, with each of its deformable convolutions replaced by a :class:`SampledDeformConv`."""
    for name, child in model.named_children():
        if isinstance(child, DEFORMABLE):
            setattr(model, name, SampledDeformConv(child))
        else:
            sampled_deformable_convs(child)
    return model
