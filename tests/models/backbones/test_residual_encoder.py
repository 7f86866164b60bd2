import pytest
import torch
from helpers.bev import level

from mmdet3d_plugin.models.backbones import ResidualEncoder


@pytest.mark.parametrize('size', [(16, 16), (20, 12), (9, 15)])
def test_planned_levels_are_the_real_shapes(size):
    encoder = ResidualEncoder(in_channels=4, channels=(6, 8, 10), num_blocks=(2, 1, 2), strides=(2, 1, 2))
    maps = encoder(torch.randn(2, 4, *size))
    assert [tuple(x.shape[1:]) for x in maps] == [level.shape for level in encoder.output_levels(level(4, *size))]


def test_names_and_blocks():
    encoder = ResidualEncoder(in_channels=4, channels=(6, 8), num_blocks=(2, 3), strides=(2, 2))
    assert [len(stage) for stage in encoder.layers] == [2, 3]
    names = set(encoder.state_dict())
    assert {'layers.0.0.downsample.weight', 'layers.0.0.downsample.bias', 'layers.1.2.bn2.weight'} <= names
    assert 'layers.0.1.downsample.weight' not in names


def test_wrong_input_channels_name_both_sides():
    with pytest.raises(ValueError, match='takes 4 channels but is fed 5@8x8'):
        ResidualEncoder(in_channels=4).output_levels(level(5, 8, 8))


def test_one_entry_per_stage():
    with pytest.raises(ValueError, match='one entry per stage'):
        ResidualEncoder(in_channels=4, channels=(6, 8), num_blocks=(2, 2, 2), strides=(2, 2))
