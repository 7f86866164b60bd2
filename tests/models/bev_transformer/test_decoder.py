"""The decoder against a slow one (loops over queries, heads and points), its references, its start."""

import math

import pytest
import torch
from torch import nn

from mmdet3d_plugin.models.bev_transformer import QueryTransformer

CHANNELS, HEADS, POINTS, LAYERS, QUERIES = 8, 2, 3, 2, 4


def build(randomise=True, dtype=torch.float64, **options):
    """A small transformer and its branches, with weights that start nowhere near zero."""
    sizes = dict(embed_dims=CHANNELS, num_layers=LAYERS, num_heads=HEADS, num_points=POINTS, feedforward_channels=12)
    transformer = QueryTransformer(**dict(sizes, **options))
    transformer.init_weights()
    branches = nn.ModuleList(nn.Linear(CHANNELS, 10) for _ in range(LAYERS))
    for parameter in [*transformer.parameters(), *branches.parameters()] if randomise else ():
        nn.init.normal_(parameter, std=0.4)
    return transformer.to(dtype).eval(), branches.to(dtype)


def inputs(dtype=torch.float64, batch=2):
    return torch.randn(QUERIES, 2 * CHANNELS, dtype=dtype), torch.randn(batch, CHANNELS, 3, 5, dtype=dtype)


def linear(layer, x):
    return layer.weight @ x + layer.bias


def layer_norm(norm, x):
    return (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + norm.eps) * norm.weight + norm.bias


def bilinear(plane, x, y):
    """Value of a (C, H, W) map at (x, y) in cells, centres at .5; zero outside."""
    value = torch.zeros(len(plane), dtype=plane.dtype)
    left, top = math.floor(x - 0.5), math.floor(y - 0.5)
    for col in (left, left + 1):
        for row in (top, top + 1):
            if 0 <= col < plane.shape[2] and 0 <= row < plane.shape[1]:
                value += plane[:, row, col] * (1 - abs(x - 0.5 - col)) * (1 - abs(y - 0.5 - row))
    return value


def slow_self_attention(attention, content, position):
    weight, bias = attention.attn.in_proj_weight.split(CHANNELS), attention.attn.in_proj_bias.split(CHANNELS)
    rows, dim = [], CHANNELS // HEADS
    for mine, place in zip(content, position):
        query, heads = weight[0] @ (mine + place) + bias[0], []
        for head in range(HEADS):
            part = slice(head * dim, (head + 1) * dim)
            logits = torch.stack(
                [
                    query[part] @ (weight[1] @ (c + p) + bias[1])[part] / math.sqrt(dim)
                    for c, p in zip(content, position)
                ]
            )
            values = torch.stack([(weight[2] @ c + bias[2])[part] for c in content])
            heads.append(logits.softmax(dim=0) @ values)
        rows.append(mine + linear(attention.attn.out_proj, torch.cat(heads)))
    return torch.stack(rows)


def slow_cross_attention(attention, content, position, plane, reference):
    height, width = plane.shape[1:]
    values = torch.stack([linear(attention.value_proj, plane[:, i, j]) for i in range(height) for j in range(width)])
    values = values.T.view(HEADS, CHANNELS // HEADS, height, width)
    rows = []
    for mine, place, ref in zip(content, position, reference):
        offsets = linear(attention.sampling_offsets, mine + place).view(HEADS, POINTS, 2)
        weights = linear(attention.attention_weights, mine + place).view(HEADS, POINTS).softmax(dim=1)
        gathered = [
            sum(
                weights[head, point]
                * bilinear(
                    values[head],
                    float(ref[0] * width + offsets[head, point, 0]),
                    float(ref[1] * height + offsets[head, point, 1]),
                )
                for point in range(POINTS)
            )
            for head in range(HEADS)
        ]
        rows.append(mine + linear(attention.output_proj, torch.cat(gathered)))
    return torch.stack(rows)


def slow_transformer(transformer, branches, queries, plane):
    """(hidden, steps, centres) of one sample, layer by layer."""
    position, content = queries[:, :CHANNELS], queries[:, CHANNELS:]
    reference = torch.stack([linear(transformer.reference_points, row) for row in position]).sigmoid()
    results = []
    for layer, branch in zip(transformer.decoder.layers, branches):
        content = slow_self_attention(layer.attentions[0], content, position)
        content = torch.stack([layer_norm(layer.norms[0], row) for row in content])
        content = slow_cross_attention(layer.attentions[1], content, position, plane, reference)
        content = torch.stack([layer_norm(layer.norms[1], row) for row in content])
        first, second = layer.ffns[0].layers[0][0], layer.ffns[0].layers[1]
        content = torch.stack(
            [layer_norm(layer.norms[2], row + linear(second, linear(first, row).relu())) for row in content]
        )
        steps = torch.stack([linear(branch, row) for row in content])
        logits = torch.log(reference / (1 - reference)) + steps[:, [0, 1, 4]]
        reference = 1 / (1 + torch.exp(-logits))
        results.append((content, steps, reference))
    return [torch.stack(column) for column in zip(*results)]


def test_decoder_matches_the_slow_one():
    transformer, branches = build()
    queries, bev_map = inputs()
    with torch.no_grad():
        fast = transformer(queries, bev_map, branches)
        for sample, plane in enumerate(bev_map):
            for ours, slow in zip(fast, slow_transformer(transformer, branches, queries, plane)):
                torch.testing.assert_close(ours[:, sample], slow, rtol=1e-4, atol=1e-5)
    assert fast.hidden.shape == (LAYERS, 2, QUERIES, CHANNELS) and fast.centres.shape == (LAYERS, 2, QUERIES, 3)


def test_gradients_to_the_map_and_the_queries():
    transformer, branches = build(num_layers=1)
    queries, bev_map = inputs(batch=1)
    assert torch.autograd.gradcheck(
        lambda q, m: tuple(transformer(q, m, branches[:1])), (queries.requires_grad_(), bev_map.requires_grad_())
    )


def test_a_layer_starts_where_the_one_before_has_moved_to_but_teaches_only_itself():
    transformer, branches = build()
    queries, bev_map = inputs()
    before = transformer(queries, bev_map, branches)
    assert before.centres[0].requires_grad and before.centres[1].requires_grad
    gradients = torch.autograd.grad(
        (before.centres[1].sum(), before.steps[1].sum()),
        [branches[0].weight, branches[1].weight, transformer.decoder.layers[0].ffns[0].layers[1].weight],
    )
    assert [bool(gradient.any()) for gradient in gradients] == [False, True, True]
    with torch.no_grad():
        branches[0].bias += torch.tensor([0.0, 0, 0, 0, 1.0, 0, 0, 0, 0, 0])
        after = transformer(queries, bev_map, branches)
    # z moves the centres of both layers by 1 before the sigmoid, and no sampling point
    torch.testing.assert_close(after.hidden, before.hidden)
    torch.testing.assert_close(after.centres[..., 2].logit(), before.centres[..., 2].logit() + torch.ones(2, 1, 1))
    with torch.no_grad():
        branches[0].bias[0] += 1.0
        moved = transformer(queries, bev_map, branches)
    assert torch.equal(moved.hidden[0], after.hidden[0]) and not torch.equal(moved.hidden[1], after.hidden[1])


def test_the_first_reference_learns_from_the_first_layer_alone():
    """Its z: no sampling point depends on it, so there is no way but through the reference itself."""
    transformer, branches = build()
    centres = transformer(*inputs(), branches).centres
    reached = [
        torch.autograd.grad(layer.sum(), transformer.reference_points.weight, retain_graph=True)[0][2].any()
        for layer in centres
    ]
    assert reached == [True, False]


def test_references_at_the_edge_stay_finite():
    transformer, branches = build()
    nn.init.constant_(transformer.reference_points.bias, 80.0)
    queries, bev_map = inputs()
    result = transformer(queries, bev_map.requires_grad_(), branches)
    sum(part.sum() for part in result).backward()
    assert all(part.isfinite().all() for part in result) and bev_map.grad.isfinite().all()


def test_it_starts_with_rings_of_points_and_even_weights():
    transformer, _ = build(randomise=False, dtype=torch.float32, num_heads=4, num_points=2)
    attention = transformer.decoder.layers[1].attentions[1]
    assert not attention.sampling_offsets.weight.any() and not attention.attention_weights.weight.any()
    ring = attention.sampling_offsets.bias.view(4, 2, 2)
    expected = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    torch.testing.assert_close(ring, torch.stack([expected, 2 * expected], dim=1), atol=1e-6, rtol=0)
    assert not attention.value_proj.bias.any() and not transformer.reference_points.bias.any()
    bound = math.sqrt(6 / (CHANNELS + 12))  # Xavier of the feed-forward net
    weight = transformer.decoder.layers[0].ffns[0].layers[1].weight
    assert 0.8 * bound < weight.abs().max() <= bound


def test_heads_that_do_not_divide_the_channels_are_named():
    with pytest.raises(ValueError, match='8 channels cannot have 3 attention heads'):
        QueryTransformer(embed_dims=8, num_heads=3)
