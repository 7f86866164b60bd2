import warnings

import pytest
import torch
from mmdet.models.backbones import ResNet

from mmdet3d_plugin.models.pretrained import drop_missing_pretrained


def _cfg(checkpoint):
    return dict(type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))


def test_a_missing_file_warns_with_its_name_and_leaves_the_config_alone(tmp_path):
    cfg = _cfg(tmp_path / 'nowhere.pth')
    with pytest.warns(UserWarning, match='nowhere.pth.*random weights'):
        resolved = drop_missing_pretrained(cfg)
    assert resolved['init_cfg'] is None
    assert cfg['init_cfg']['type'] == 'Pretrained'


def test_a_present_file_is_loaded(tmp_path):
    source = ResNet(18, base_channels=4)
    torch.save(source.state_dict(), tmp_path / 'resnet.pth')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        cfg = drop_missing_pretrained(_cfg(tmp_path / 'resnet.pth'))
    cfg.pop('type')
    model = ResNet(base_channels=4, **cfg)
    model.init_weights()
    torch.testing.assert_close(model.layer4[1].conv2.weight, source.layer4[1].conv2.weight)


@pytest.mark.parametrize(
    'init_cfg', [None, dict(type='Kaiming', layer='Conv2d'), [dict(type='Kaiming', layer='Conv2d')]]
)
def test_other_initialisations_pass_through(init_cfg):
    assert drop_missing_pretrained(dict(type='ResNet', init_cfg=init_cfg))['init_cfg'] == init_cfg


def test_names_with_a_scheme_are_left_to_mmcv():
    assert drop_missing_pretrained(_cfg('torchvision://resnet18')) == _cfg('torchvision://resnet18')


def test_a_file_of_which_nothing_fits_is_refused(tmp_path):
    torch.save(dict(state_dict=torch.nn.Linear(2, 1).state_dict()), tmp_path / 'other.pth')
    model = ResNet(18, base_channels=4, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'other.pth')))
    with pytest.raises(ValueError, match='pretrained weights .*other.pth. of ResNet: none of its weights fits: it has'):
        model.init_weights()


@pytest.mark.parametrize('prefix', [None, 'img_backbone.', 'backbone'])
def test_what_was_taken_over_is_one_line(tmp_path, caplog, prefix):
    source = ResNet(18, base_channels=4)
    start = '' if prefix is None else prefix.rstrip('.') + '.'
    state = {f'{start}{name}': value + 1 for name, value in source.state_dict().items()}
    torch.save(dict(state, **{f'{start}fc.bias': torch.ones(3)}), tmp_path / 'resnet.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth'), prefix=prefix)
    model = ResNet(18, base_channels=4, init_cfg=init_cfg)
    model.init_weights()
    assert torch.equal(model.layer4[1].conv2.weight, source.layer4[1].conv2.weight + 1)
    total = sum('num_batches' not in name for name in model.state_dict())
    assert f'{total} of {total} weights of the model taken over; in the file alone: fc 1' in caplog.text
