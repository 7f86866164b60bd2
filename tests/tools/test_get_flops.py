"""get_flops.py counts what can be worked out by hand."""

import json
import re

import torch
from mmcv.ops import ModulatedDeformConv2dPack
from torch import nn

from mmdet3d_plugin.ops.sparse_conv import SparseTensor, SubMConv3d

SMALL = ['--points', '400', '--boxes', '3']


class _Layers(nn.Module):
    """One convolution, one deformable convolution with its own offsets, attention."""

    def __init__(self, deformable):
        super().__init__()
        self.conv, self.deformable = nn.Conv2d(3, 8, 3, padding=1), deformable

    def forward(self, images):
        maps = self.deformable(self.conv(images))
        tokens = maps.flatten(2).transpose(1, 2).unsqueeze(1)
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)


def test_multiply_adds_are_those_worked_out_by_hand(tool):
    model, cells = _Layers(ModulatedDeformConv2dPack(8, 4, 3, padding=1, bias=False)), 5 * 6
    found = tool('benchmarks.flops').count(model, lambda: model(torch.randn(1, 3, 5, 6)))
    conv, offsets, deformed = (9 * cells * pair for pair in (3 * 8, 8 * 27, 8 * 4))
    assert found == {'': conv + offsets + deformed + 2 * cells * cells * 4, 'conv': conv,
                     'deformable': offsets + deformed}  # fmt: skip


def test_products_of_a_sparse_convolution(tool):
    """Two neighbours: each sees itself and the other."""
    layer = SubMConv3d(3, 5, 3, bias=False)
    coords = torch.tensor([[0, 1, 1, 1], [0, 1, 1, 2], [0, 3, 3, 3]])
    x = SparseTensor.of(torch.randn(3, 3), coords, (4, 4, 4), 1)
    assert tool('benchmarks.flops').count(layer, lambda: layer(x)) == {'': 5 * 3 * 5}


def test_flops_of_every_part_of_a_distiller(tool, shrunk_config, tmp_path, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    out = tmp_path / 'flops.json'
    tool('get_flops').main([str(shrunk_config), *SMALL, '--out', str(out)])
    report = json.loads(out.read_text())
    parts = [row[0] for row in report['tables']['flops'][1:]]
    for owner in ('student', 'teacher'):
        of_parts = {
            key: sum(report[f'{part}.{key}'] for part in parts if re.match(f'{owner}: (?!all)', part))
            for key in ('parameters', 'macs')
        }
        assert of_parts['parameters'] == report[f'{owner}: all.parameters'] > 0
        assert (
            0.9 * report[f'{owner}: all.macs'] < of_parts['macs'] <= report[f'{owner}: all.macs']
        )  # alignment: in no part
    assert parts[-3:] == [f'aligner: {level}' for level in ('backbone1', 'backbone2', 'head')]
    assert report['aligner: head.macs'] == 16 * 48 * 16 * 16
