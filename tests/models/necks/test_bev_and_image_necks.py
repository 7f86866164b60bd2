import pytest
import torch
from helpers.bev import level
from mmdet.models.necks import FPN

from mmdet3d_plugin.models.necks import LSSFPN, FinestFPN


def _maps(sizes, channels=(4, 6, 8)):
    return [torch.randn(2, c, *size) for c, size in zip(channels, sizes)]


@pytest.mark.parametrize('sizes', [[(8, 8), (4, 4), (2, 2)], [(10, 6), (5, 3), (3, 2)]])
@pytest.mark.parametrize('extra', [1, 2])
def test_planned_level_is_the_real_shape(sizes, extra):
    neck = LSSFPN(in_channels=(4, 8), out_channels=5, extra_upsample=extra)
    maps = _maps(sizes)
    levels = [level(*x.shape[1:]) for x in maps]
    assert (
        tuple(neck(maps).shape[1:]) == neck.output_level(levels).shape == (5, sizes[0][0] * extra, sizes[0][1] * extra)
    )


def test_the_ending():
    maps = _maps([(8, 8), (4, 4), (2, 2)])
    assert (LSSFPN(in_channels=(4, 8), out_channels=5)(maps) >= 0).all()
    assert (LSSFPN(in_channels=(4, 8), out_channels=5, extra_norm_act=False)(maps) < 0).any()


def test_released_parameter_names():
    names = set(LSSFPN(in_channels=(4, 8), out_channels=5).state_dict())
    expected = {'conv.0.weight', 'conv.1.weight', 'conv.3.weight', 'conv.4.weight'}
    expected |= {'up2.1.weight', 'up2.2.weight', 'up2.4.weight', 'up2.4.bias', 'up2.5.weight'}
    assert {name for name in names if name.endswith('weight')} | {'up2.4.bias'} == expected


def test_wrong_channels_and_missing_maps_name_both_sides():
    neck = LSSFPN(in_channels=(4, 8), out_channels=5)
    with pytest.raises(ValueError, match=r'\(4, 8\) channels but the backbone gives \(4, 9\)'):
        neck.output_level([level(4, 8, 8), level(6, 4, 4), level(9, 2, 2)])
    with pytest.raises(ValueError, match='only 2 maps'):
        neck.output_level([level(4, 8, 8), level(6, 4, 4)])
    with pytest.raises(ValueError, match='two entries'):
        LSSFPN(in_channels=(4, 6, 8), out_channels=5)


def test_finest_fpn_is_the_first_output_of_fpn():
    ours, full = FinestFPN(in_channels=[4, 6, 8], out_channels=5), FPN([4, 6, 8], 5, num_outs=3)
    missing = full.load_state_dict(ours.state_dict(), strict=False)
    assert not missing.unexpected_keys and all(key.startswith('fpn_convs') for key in missing.missing_keys)
    maps = _maps([(8, 11), (4, 6), (2, 3)])
    torch.testing.assert_close(ours(maps), full(maps)[0])


def test_finest_fpn_uses_all_its_parameters():
    neck = FinestFPN(in_channels=[4, 6], out_channels=5)
    neck(_maps([(8, 11), (4, 6)], channels=(4, 6))).sum().backward()
    assert all(parameter.grad is not None for parameter in neck.parameters())


def test_finest_fpn_wants_all_maps():
    with pytest.raises(ValueError, match='takes 2 maps, the backbone gives 1'):
        FinestFPN(in_channels=[4, 6], out_channels=5)(_maps([(8, 8)]))
