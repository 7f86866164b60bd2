"""DeformableBEVEncoder: against a slow loop, where its cells lie, its first weights and its names."""

import math

import pytest
import torch
from mmdet3d.models.builder import NECKS
from torch.nn import functional as F

SIZES = ((5, 4), (3, 2))  # (h, w) of the maps that come in


def build(seed=0, **kwargs):
    torch.manual_seed(seed)
    cfg = dict(bev_size=(3, 4), embed_dims=8, num_levels=2, num_layers=2, num_heads=2, num_points=2, dropout=0.0)
    cfg.update(feedforward_channels=16, **kwargs)
    return NECKS.build(dict(type='DeformableBEVEncoder', **cfg))


def maps(batch=2, dtype=torch.float32):
    torch.manual_seed(3)
    return [torch.randn(batch, 8, *size, dtype=dtype, requires_grad=True) for size in SIZES]


def perturb(model):
    """Weights away from their symmetric start."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def sine(place, size, channels=4):
    """Encoding of one row or column by the textbook formula; ``size`` rows or columns."""
    angle = (place + 0.5) / (size + 1e-6) * 2 * math.pi
    values = []
    for channel in range(channels):
        scaled = angle / 10000 ** (2 * (channel // 2) / channels)
        values.append(math.sin(scaled) if channel % 2 == 0 else math.cos(scaled))
    return values


def bilinear(level, x, y):
    """(C,) value of a (C, h, w) map at (x, y) in [0, 1], zero outside."""
    column, row = x * level.shape[2] - 0.5, y * level.shape[1] - 0.5
    left, top = math.floor(column), math.floor(row)
    total = level.new_zeros(level.shape[0])
    for r, wr in ((top, top + 1 - row), (top + 1, row - top)):
        for c, wc in ((left, left + 1 - column), (left + 1, column - left)):
            if 0 <= r < level.shape[1] and 0 <= c < level.shape[2]:
                total = total + level[:, r, c] * (wr * wc)
    return total


def slow_layer(layer, query, levels, rows, columns):
    """One layer for one sample, cell by cell: (rows * columns, 8)."""
    attention, result = layer.attentions[0], []
    values = [F.linear(level.permute(1, 2, 0), attention.value_proj.weight, attention.value_proj.bias).permute(2, 0, 1)
              for level in levels]  # fmt: skip
    for cell in range(rows * columns):
        row, column = divmod(cell, columns)
        seen = query[cell] + torch.tensor(sine(row, rows) + sine(column, columns), dtype=query.dtype)
        offsets = attention.sampling_offsets(seen).view(2, 2, 2, 2)  # heads, levels, points, (x, y)
        weights = attention.attention_weights(seen).view(2, 4).softmax(-1).view(2, 2, 2)
        heads = []
        for head in range(2):
            total = query.new_zeros(4)
            for level, value in enumerate(values):
                for point in range(2):
                    x = (column + 0.5) / columns + offsets[head, level, point, 0].item() / value.shape[2]
                    y = (row + 0.5) / rows + offsets[head, level, point, 1].item() / value.shape[1]
                    total = total + weights[head, level, point] * bilinear(value[4 * head : 4 * head + 4], x, y)
            heads.append(total)
        out = layer.norms[0](attention.output_proj(torch.cat(heads)) + query[cell])
        first, last = layer.ffns[0].layers[0][0], layer.ffns[0].layers[1]
        result.append(layer.norms[1](out + last(first(out).relu())))
    return torch.stack(result)


def test_equals_a_slow_loop():
    model, inputs = perturb(build()).double(), maps(dtype=torch.float64)
    got = model(inputs)
    assert got.shape == (2, 8, 3, 4)
    for sample in range(2):
        query = model.bev_embedding.weight
        for layer in model.layers:
            query = slow_layer(layer, query, [level[sample] for level in inputs], 3, 4)
        torch.testing.assert_close(got[sample].flatten(1).t(), query)


def test_rows_stay_rows():
    """Ring offsets of zero: a lit input cell lights the output cells over it and no others."""
    model = build(bev_size=(5, 4), num_levels=1, num_layers=1)
    model.init_weights()
    attention = model.layers[0].attentions[0]
    torch.nn.init.zeros_(attention.sampling_offsets.bias)
    dark, lit = torch.zeros(1, 8, 5, 4), torch.zeros(1, 8, 5, 4)
    lit[:, :, 3, 1] = 5
    changed = (model([lit]) - model([dark])).abs().sum(1)[0] > 1e-6
    assert changed.nonzero().tolist() == [[3, 1]]


def test_first_weights():
    model = build(num_heads=4, num_layers=1, embed_dims=16)
    model.init_weights()
    attention = model.layers[0].attentions[0]
    assert not attention.sampling_offsets.weight.any() and not attention.attention_weights.weight.any()
    ring = attention.sampling_offsets.bias.view(4, 2, 2, 2)
    for head, direction in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)]):
        for point in range(2):
            expected = torch.tensor(direction) * (point + 1.0)
            torch.testing.assert_close(ring[head, :, point], expected.expand(2, 2), atol=1e-6, rtol=0)
    for linear in (attention.value_proj, attention.output_proj, model.layers[0].ffns[0].layers[1]):
        bound = math.sqrt(6 / sum(linear.weight.shape))
        assert 0.8 * bound < linear.weight.abs().max() <= bound
    assert 0.8 < model.bev_embedding.weight.std() < 1.2


def test_gradients_reach_maps_and_parameters():
    model, inputs = perturb(build()), maps()
    model(inputs).square().sum().backward()
    for name, tensor in [*model.named_parameters(), *((f'map {i}', level) for i, level in enumerate(inputs))]:
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0, name


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_moves_no_place(dtype):
    model, inputs = perturb(build()), [level.detach().to(dtype) for level in maps()]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = model(inputs)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, model([level.float() for level in inputs]))


def test_each_sample_as_if_alone():
    model, inputs = perturb(build()).eval(), maps(batch=3)
    together = model(inputs)
    for sample in range(3):
        torch.testing.assert_close(together[sample], model([level[sample : sample + 1] for level in inputs])[0])


def test_published_names():
    names = {name.removeprefix('layers.0.'): tuple(value.shape) for name, value in build().state_dict().items()}
    assert names['bev_embedding.weight'] == (12, 8)
    for name in ('sampling_offsets', 'attention_weights', 'value_proj', 'output_proj'):
        assert f'attentions.0.{name}.weight' in names and f'attentions.0.{name}.bias' in names
    assert names['ffns.0.layers.0.0.weight'] == (16, 8) and names['ffns.0.layers.1.weight'] == (8, 16)
    assert {'norms.0.weight', 'norms.1.bias'} <= set(names)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match='1 maps came in, the encoder was built with num_levels=2'):
        build()(maps()[:1])
    with pytest.raises(ValueError, match='multiple of 4 and of num_heads=2, got 6'):
        build(embed_dims=6)
