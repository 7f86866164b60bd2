"""Both attentions against loops over samples, cells, heads, maps or cameras, levels and points; gradients."""

import pytest
import torch

from mmdet3d_plugin.models.bev_transformer.pillar_projection import VisiblePairs
from mmdet3d_plugin.models.bev_transformer.spatial_cross_attention import SpatialCrossAttention
from mmdet3d_plugin.models.bev_transformer.temporal_self_attention import TemporalContext, TemporalSelfAttention

DIMS, HEADS, POINTS = 8, 2, 4
SIZE, QUERIES = (4, 4), 16
SHAPES = [(3, 4), (2, 2)]
PILLAR, CAMS = 2, 2


def _trained(module):
    """The module in float64 with weights that all matter."""
    module.init_weights()
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module.double().eval()


def _read(feature, x, y):
    """(D,) bilinear read of (h, w, D) at fractions of its size, zero outside."""
    height, width = feature.shape[:2]
    x, y = x * width - 0.5, y * height - 0.5
    out = torch.zeros_like(feature[0, 0])
    for row in range(height):
        for column in range(width):
            out = out + max(0.0, 1 - abs(float(x) - column)) * max(0.0, 1 - abs(float(y) - row)) * feature[row, column]
    return out


def _temporal_inputs(exists):
    batch = len(exists)
    query, current, previous = torch.randn(3, batch, QUERIES, DIMS).double()
    references = torch.rand(batch, 2, QUERIES, 2)
    context = TemporalContext(previous, current, torch.tensor(exists), references, SIZE)
    return query, torch.randn(1, QUERIES, DIMS).double(), context


def _temporal_slowly(module, query, position, context):
    out = torch.zeros_like(query)
    for b in range(len(query)):
        exists = bool(context.exists[b]) and context.previous is not None
        maps = [context.previous[b], context.current[b]] if exists else [query[b], query[b]]
        values = [module.value_proj(tokens).view(*SIZE, HEADS, -1) for tokens in maps]
        for q in range(QUERIES):
            asking = torch.cat([maps[0][q], query[b, q] + position[0, q]])
            offsets = module.sampling_offsets(asking).view(HEADS, 2, 1, POINTS, 2)
            weights = module.attention_weights(asking).view(HEADS, 2, POINTS).softmax(-1)
            heads = []
            for head in range(HEADS):
                read = 0
                for which in range(2):
                    for point in range(POINTS):
                        place = context.references[b % len(context.references), which, q]
                        x, y = place + offsets[head, which, 0, point] / torch.tensor([SIZE[1], SIZE[0]])
                        read = read + weights[head, which, point] * _read(values[which][:, :, head], x, y) / 2
                heads.append(read)
            out[b, q] = query[b, q] + module.output_proj(torch.cat(heads))
    return out


@pytest.mark.parametrize('exists', [[True, False], [False, False], [True]])
def test_temporal_attention_equals_loops(exists):
    module = _trained(TemporalSelfAttention(DIMS, HEADS, POINTS))
    query, position, context = _temporal_inputs(exists)
    with torch.no_grad():
        expected = _temporal_slowly(module, query, position, context)
        torch.testing.assert_close(module(query, position, context), expected)
    assert (expected - query).abs().mean() > 0.1


def test_no_previous_map_at_all_is_as_if_no_sample_had_one():
    module = _trained(TemporalSelfAttention(DIMS, HEADS, POINTS))
    query, position, context = _temporal_inputs([False, False])
    expected = module(query, position, context)
    assert torch.equal(module(query, position, context._replace(previous=None)), expected)


def test_gradients_of_temporal_attention():
    module = _trained(TemporalSelfAttention(DIMS, HEADS, 2))
    query, position, context = _temporal_inputs([True, False])

    def attend(query, position, previous, current, *_):
        return module(query, position, context._replace(previous=previous, current=current))

    leaves = [query, position, context.previous, context.current]
    leaves = [leaf.requires_grad_() for leaf in leaves] + [module.sampling_offsets.bias, module.attention_weights.bias]
    assert torch.autograd.gradcheck(attend, leaves, fast_mode=True)


def _pairs(hit):
    """Pairs of a (B, N, Q) table of hits, with random pillar points, some of them outside of the image."""
    sample, camera, cell = hit.nonzero(as_tuple=True)
    points = torch.rand(len(cell), PILLAR, 2) * 1.4 - 0.2
    share = 1 / hit.sum(1).clamp(min=1).view(-1, 1).float()
    return VisiblePairs(sample * CAMS + camera, sample * QUERIES + cell, points, share)


def _spatial_inputs(batch=2):
    hit = torch.rand(batch, CAMS, QUERIES) < 0.6
    hit[:, :, 3] = False
    hit[:, :, 5] = True
    tokens = torch.randn(batch * CAMS, sum(h * w for h, w in SHAPES), DIMS).double()
    return torch.randn(batch, QUERIES, DIMS).double(), tokens, _pairs(hit)


def _spatial_slowly(module, query, tokens, pairs):
    inner = module.deformable_attention
    slots = torch.zeros_like(query.flatten(0, 1))
    for image, cell, points in zip(pairs.image, pairs.cell, pairs.points):
        asking = query.flatten(0, 1)[cell]
        offsets = inner.sampling_offsets(asking).view(HEADS, len(SHAPES), POINTS, 2)
        weights = inner.attention_weights(asking).view(HEADS, -1).softmax(-1).view(HEADS, len(SHAPES), POINTS)
        levels = inner.value_proj(tokens[image]).split([h * w for h, w in SHAPES])
        heads = []
        for head in range(HEADS):
            read = 0
            for level, (height, width) in enumerate(SHAPES):
                feature = levels[level].view(height, width, HEADS, -1)[:, :, head]
                for point in range(POINTS):
                    x, y = points[point % PILLAR] + offsets[head, level, point] / torch.tensor([width, height])
                    read = read + weights[head, level, point] * _read(feature, x, y)
            heads.append(read)
        slots[cell] += torch.cat(heads) / (pairs.cell == cell).sum()
    return query + module.output_proj(slots).view_as(query)


def test_spatial_attention_equals_loops():
    module = _trained(SpatialCrossAttention(DIMS, HEADS, len(SHAPES), POINTS))
    query, tokens, pairs = _spatial_inputs()
    with torch.no_grad():
        found = module(query, tokens, SHAPES, pairs)
        torch.testing.assert_close(found, _spatial_slowly(module, query, tokens, pairs))
    bias = module.output_proj.bias
    torch.testing.assert_close(found[:, 3], query[:, 3] + bias, msg='a cell that no camera sees keeps its query')
    assert (found[:, 5] - query[:, 5] - bias).abs().max() > 0.1


def test_cells_that_no_camera_sees_at_all():
    module = _trained(SpatialCrossAttention(DIMS, HEADS, len(SHAPES), POINTS))
    query, tokens, _ = _spatial_inputs()
    found = module(query, tokens, SHAPES, _pairs(torch.zeros(2, CAMS, QUERIES, dtype=torch.bool)))
    torch.testing.assert_close(found, query + module.output_proj.bias)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_gradients_of_spatial_attention():
    module = _trained(SpatialCrossAttention(DIMS, HEADS, len(SHAPES), POINTS))
    query, tokens, pairs = _spatial_inputs(batch=1)
    inner = module.deformable_attention
    leaves = [
        query.requires_grad_(),
        tokens.requires_grad_(),
        inner.sampling_offsets.bias,
        inner.attention_weights.bias,
    ]
    assert torch.autograd.gradcheck(lambda q, t, *_: module(q, t, SHAPES, pairs), leaves, fast_mode=True)


def test_heads_start_as_a_ring():
    """8 heads look along the compass, the points of each 1, 2, ... cells away, whatever the query."""
    temporal, spatial = TemporalSelfAttention(32, 8, 4), SpatialCrossAttention(32, 8, 3, 8)
    temporal.init_weights()
    spatial.init_weights()
    for module, middle, points in ((temporal, 2, 4), (spatial.deformable_attention, 3, 8)):
        assert not module.sampling_offsets.weight.any()
        bias = module.sampling_offsets.bias.view(8, middle, points, 2)
        compass = torch.tensor([[1.0, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]])
        for point in range(points):
            expected = (point + 1) * compass.unsqueeze(1).expand(-1, middle, -1)
            torch.testing.assert_close(bias[:, :, point], expected, atol=1e-5, rtol=1e-5)
        assert not module.attention_weights.weight.any() and not module.attention_weights.bias.any()
        assert module.value_proj.weight.any() and not module.value_proj.bias.any()
    for module in (temporal, spatial):
        assert module.output_proj.weight.any() and not module.output_proj.bias.any()
