"""AOA on pooled tokens: against a slow reference, at pool 1 as before, far cheaper at full size."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers.bev import level

from mmdet3d_plugin.distill.aligners import build_aligner

STUDENT, TEACHER = level(8, 6, 4), level(12, 6, 4)


def pooled_aligner(pool=2, **options):
    """AOA with random values everywhere; zeros and ones would hide mistakes."""
    cfg = dict(type='AOAAligner', num_heads=2, residual=True, pool=pool)
    aligner = build_aligner(dict(cfg, **options), STUDENT, TEACHER).eval()
    for parameter in aligner.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return aligner


def between_centres(tokens, row, col):
    """Bilinear value of (C, h, w) tokens of 2 x 2 cells at the centre of a cell; edge tokens reach to the edge."""
    value = 0
    parts = []
    for cell, size in ((row, tokens.shape[1]), (col, tokens.shape[2])):
        near = cell // 2
        far = near + (1 if cell % 2 else -1)  # the centre of a cell is a quarter of a token off
        parts.append([(near, 0.75), (min(max(far, 0), size - 1), 0.25)])
    for i, of_row in parts[0]:
        for j, of_col in parts[1]:
            value = value + of_row * of_col * tokens[:, i, j]
    return value


def slow_block(block, feature):
    """One sample with pool 2, cell by cell and head by head."""
    conv, norm = block.stem[0], block.stem[1]
    x = F.conv2d(feature[None], conv.weight, padding=1)
    x = (x - norm.running_mean[:, None, None]) / torch.sqrt(norm.running_var[:, None, None] + norm.eps)
    x = torch.relu(x * norm.weight[:, None, None] + norm.bias[:, None, None])[0] + block.position[0]
    channels, height, width = x.shape
    tokens = [
        x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean(dim=(1, 2))
        for i in range(height // 2)
        for j in range(width // 2)
    ]
    both = [block.to_kv.weight @ token + block.to_kv.bias for token in tokens]
    embed, dim, gathered = block.query_projection[0], channels // block.num_heads, []
    for own in block.query.weight:
        query = block.to_q.weight @ torch.relu(embed.weight @ own + embed.bias) + block.to_q.bias
        heads = []
        for head in range(block.num_heads):
            part = slice(head * dim, (head + 1) * dim)
            logits = torch.stack([query[part] @ kv[:channels][part] / math.sqrt(dim) for kv in both])
            heads.append(logits.softmax(dim=0) @ torch.stack([kv[channels:][part] for kv in both]))
        gathered.append(block.out.weight @ torch.cat(heads) + block.out.bias)
    gathered = torch.stack(gathered, dim=1).view(channels, height // 2, width // 2)
    output = torch.zeros_like(x)
    for i in range(height):
        for j in range(width):
            y = F.layer_norm(
                x[:, i, j] + between_centres(gathered, i, j), (channels,), block.norm.weight, block.norm.bias
            )
            output[:, i, j] = y + block.ffn[2](torch.relu(block.ffn[0](y)))
    return output


def test_pooled_attention_matches_the_slow_reference():
    block = pooled_aligner().attention
    feature = torch.randn(2, *STUDENT.shape)
    with torch.no_grad():
        expected = torch.stack([slow_block(block, sample) for sample in feature])
        torch.testing.assert_close(block(feature), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('residual', [False, True])
def test_pool_one_is_the_module_without_pooling(residual):
    plain = build_aligner(dict(type='AOAAligner', num_heads=2, residual=residual), STUDENT, TEACHER).eval()
    pooled = pooled_aligner(pool=1, residual=residual)
    pooled.load_state_dict(plain.state_dict())
    feature = torch.randn(2, *STUDENT.shape)
    assert torch.equal(pooled(feature), plain(feature))


def test_everything_learns():
    aligner = pooled_aligner().train()
    feature = torch.randn(2, *STUDENT.shape, requires_grad=True)
    output = aligner(feature)
    (output * torch.randn_like(output)).sum().backward()
    assert output.shape == (2, *TEACHER.shape) and feature.grad.abs().sum() > 0
    assert aligner.attention.query.weight.shape == (6, 8) and aligner.attention.position.shape == (1, 8, 6, 4)
    for name, parameter in aligner.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_map_of_200x200_cells_has_625_tokens(monkeypatch):
    sizes, attend = [], F.scaled_dot_product_attention

    def spy(query, key, value, **options):
        sizes.append((query.shape[2], key.shape[2]))
        return attend(query, key, value, **options)

    monkeypatch.setattr(F, 'scaled_dot_product_attention', spy)
    full = level(8, 200, 200)
    aligner = build_aligner(dict(type='AOAAligner', num_heads=2, residual=True, pool=8), full, full)
    assert aligner(torch.randn(1, *full.shape)).shape == (1, *full.shape)
    assert sizes == [(625, 625)]


def test_impossible_pools_are_named():
    for options, message in (
        (dict(pool=4), 'a map 8@6x4 cannot pool 4 x 4 cells: choose a common divisor'),
        (dict(pool=0), 'cannot pool 0 x 0 cells'),
        (dict(residual=False), 'tokens of 2 x 2 cells needs residual=True'),
    ):
        with pytest.raises(ValueError, match=message):
            pooled_aligner(**options)
