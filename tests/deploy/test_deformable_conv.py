"""Deformable convolutions as samples are mmcv's."""

import pytest
import torch
from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack
from torch import nn

from mmdet3d_plugin.deploy.deformable_conv import SampledDeformConv, sampled_deformable_convs

SETTINGS = {
    'plain': dict(padding=1),
    'two deformable groups': dict(padding=1, deform_groups=2),
    'two groups': dict(padding=1, groups=2),
    'strided and dilated': dict(padding=2, stride=2, dilation=2),
}


@pytest.mark.parametrize('kind', [ModulatedDeformConv2dPack, DeformConv2dPack])
@pytest.mark.parametrize('settings', SETTINGS.values(), ids=SETTINGS)
def test_values_are_those_of_mmcv(kind, settings):
    layer = kind(4, 6, 3, **settings)
    nn.init.normal_(layer.conv_offset.weight, std=0.5)  # places beyond the border too
    nn.init.normal_(layer.conv_offset.bias)
    x = torch.randn(2, 4, 7, 9)
    with torch.no_grad():
        torch.testing.assert_close(SampledDeformConv(layer)(x), layer(x), rtol=1e-4, atol=1e-5)


def test_every_one_of_a_model_is_replaced():
    model = nn.Sequential(
        nn.Sequential(ModulatedDeformConv2dPack(2, 2, 3)), nn.Conv2d(2, 2, 1), DeformConv2dPack(2, 2, 1)
    )
    replaced = sampled_deformable_convs(model)
    assert [type(part).__name__ for part in (replaced[0][0], replaced[1], replaced[2])] == [
        'SampledDeformConv', 'Conv2d', 'SampledDeformConv',
    ]  # fmt: skip
