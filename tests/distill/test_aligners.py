"""Aligners: values against a slow reference, orthogonality under AdamW, commuting upsampling, ablations."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from helpers.bev import level
from mmcv.runner import load_checkpoint, save_checkpoint

from mmdet3d_plugin.distill.aligners import ALIGNERS, Aligner, OrthogonalProjection, build_aligner

STUDENT = level(16, 3, 5)
WIDE_TEACHER = level(24, 9, 10)
NARROW_TEACHER = level(8, 9, 10)


def perturb(module):
    """Random values everywhere (zero- and one-initialised parameters would hide mistakes)."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def slow_attention(block, feature, softmax_scale, residual, ffn_act, content=False):
    """Attention block for one sample, written with loops over heads, queries and keys."""
    conv, norm = block.stem[0], block.stem[1]
    x = F.conv2d(feature[None], conv.weight, padding=1)
    x = (x - norm.running_mean[:, None, None]) / torch.sqrt(norm.running_var[:, None, None] + norm.eps)
    x = torch.relu(x * norm.weight[:, None, None] + norm.bias[:, None, None])[0] + block.position[0]
    channels, height, width = x.shape
    tokens = [x[:, i, j] for i in range(height) for j in range(width)]
    rows = []
    embed, key_value = block.query_projection[0], block.to_kv
    dim = channels // block.num_heads
    for index in range(height * width):
        asked = block.query.weight[index] + (tokens[index] if content else 0)
        query = torch.relu(embed.weight @ asked + embed.bias)
        query = block.to_q.weight @ query + block.to_q.bias
        heads = []
        for head in range(block.num_heads):
            part = slice(head * dim, (head + 1) * dim)
            logits, values = [], []
            for token in tokens:
                both = key_value.weight @ token + key_value.bias
                key, value = both[:channels], both[channels:]
                logits.append(softmax_scale * (query[part] @ key[part]) / math.sqrt(dim))
                values.append(value[part])
            weights = torch.stack(logits).exp()
            weights = weights / weights.sum()
            heads.append(sum(weight * value for weight, value in zip(weights, values)))
        y = block.out.weight @ torch.cat(heads) + block.out.bias + (tokens[index] if residual else 0)
        y = (y - y.mean()) / torch.sqrt(y.var(unbiased=False) + block.norm.eps) * block.norm.weight + block.norm.bias
        hidden = block.ffn[0].weight @ y + block.ffn[0].bias
        gelu = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
        hidden = gelu if ffn_act == 'GELU' else hidden.clamp(min=0)
        rows.append(y + block.ffn[2].weight @ hidden + block.ffn[2].bias)
    return torch.stack(rows, dim=1).view(channels, height, width)


@pytest.mark.parametrize(
    ('softmax_scale', 'residual', 'ffn_act', 'content'),
    [(1.0, False, None, False), (5.0, False, 'GELU', False), (1.0, True, 'ReLU', False), (2.0, False, None, True)],
)
@pytest.mark.parametrize('teacher', [WIDE_TEACHER, NARROW_TEACHER])
def test_aoa_matches_slow_reference(teacher, softmax_scale, residual, ffn_act, content):
    cfg = dict(type='AOAAligner', num_heads=4, softmax_scale=softmax_scale, residual=residual, content=content)
    cfg.update({} if ffn_act is None else dict(ffn_act=ffn_act))
    aligner = perturb(build_aligner(cfg, STUDENT, teacher)).eval()
    aligner.attention.stem[1].running_mean.normal_()
    aligner.attention.stem[1].running_var.uniform_(0.5, 2)
    feature = torch.randn(2, *STUDENT.shape)
    with torch.no_grad():
        expected = []
        weight = aligner.projection.weight()
        for sample in feature:
            attended = slow_attention(aligner.attention, sample, softmax_scale, residual, ffn_act, content)
            projected = torch.einsum('tc,chw->thw', weight, attended)
            projected = projected * aligner.projection.scale[:, None, None] + aligner.projection.bias[:, None, None]
            size = (teacher.height, teacher.width)
            expected.append(F.interpolate(projected[None], size, mode='bilinear', align_corners=True)[0])
        actual = aligner(feature)
    assert actual.shape == (2, *teacher.shape)
    torch.testing.assert_close(actual, torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_unknown_ffn_activation_is_named():
    with pytest.raises(ValueError, match="ffn_act must be one of .'ReLU', 'GELU'.*got 'relu6'"):
        build_aligner(dict(type='AOAAligner', ffn_act='relu6'), STUDENT, WIDE_TEACHER)


def test_fused_attention_gets_a_query_of_its_own_per_sample(monkeypatch):
    """Kernels for CUDA refuse a batch of stride 0."""
    strides, attend = [], F.scaled_dot_product_attention

    def spy(query, key, value, **options):
        strides.extend(part.stride() for part in (query, key, value))
        return attend(query, key, value, **options)

    monkeypatch.setattr(F, 'scaled_dot_product_attention', spy)
    build_aligner(dict(type='AOAAligner', num_heads=4), STUDENT, WIDE_TEACHER)(torch.randn(2, *STUDENT.shape))
    assert len(strides) == 3
    assert all(0 not in stride and stride[-1] == 1 for stride in strides)


def test_attention_uses_learned_embedding_and_starts_without_position():
    block = build_aligner(dict(type='AOAAligner'), STUDENT, WIDE_TEACHER).attention
    assert block.num_heads == 8 and block.query.weight.shape == (15, 16)
    assert block.position.shape == (1, 16, 3, 5) and not block.position.any()
    assert block.ffn[0].out_features == 4 * 16


@pytest.mark.parametrize('teacher', [WIDE_TEACHER, NARROW_TEACHER, level(16, 9, 10)])
def test_projection_stays_orthogonal_under_adamw(teacher):
    """Strong weight decay and steps; the default householder map would collapse to zero here."""
    aligner = build_aligner(dict(type='AOAAligner', num_heads=2), STUDENT, teacher)
    optimizer = torch.optim.AdamW(aligner.parameters(), lr=0.05, weight_decay=0.5)
    before = aligner.projection.weight().detach().clone()
    for _ in range(8):
        optimizer.zero_grad()
        (aligner(torch.randn(2, *STUDENT.shape)) - torch.randn(2, *teacher.shape)).pow(2).mean().backward()
        optimizer.step()
    weight = aligner.projection.weight().detach()
    gram = weight @ weight.T if STUDENT.channels >= teacher.channels else weight.T @ weight
    assert weight.shape == (teacher.channels, STUDENT.channels)
    assert (gram - torch.eye(len(gram))).abs().max() < 1e-5
    assert (weight - before).abs().max() > 1e-2  # it did learn


def test_projection_starts_without_scale_and_bias_effect():
    projection = OrthogonalProjection(8, 8)
    feature = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(projection(feature).norm(dim=1), feature.norm(dim=1))
    assert (projection.scale == 1).all() and (projection.bias == 0).all()


@pytest.mark.parametrize('teacher', [WIDE_TEACHER, NARROW_TEACHER])
def test_upsampling_commutes_with_the_projection(teacher):
    aligner = perturb(build_aligner(dict(type='AOAAligner', attention=False), STUDENT, teacher))
    feature = torch.randn(2, *STUDENT.shape)
    project_first = aligner.resize(aligner.projection(feature))
    upsample_first = aligner.projection(aligner.resize(feature))
    torch.testing.assert_close(project_first, upsample_first, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(aligner(feature), project_first)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='AOAAligner'),
        dict(type='AOAAligner', attention=False),
        dict(type='AOAAligner', orthogonal=False),
        dict(type='AOAAligner', content=True),
        dict(type='AOAAligner', identity=True),
        dict(type='AOAAligner', residual=True, identity=True, content=True),
        dict(type='Conv1x1Aligner'),
        dict(type='UpsampleConvAligner'),
    ],
    ids=lambda cfg: '-'.join(str(value) for value in cfg.values()),
)
@pytest.mark.parametrize('teacher', [WIDE_TEACHER, NARROW_TEACHER, level(8, 3, 5)])
def test_every_aligner_reaches_the_teacher_shape_and_trains_all_its_parameters(cfg, teacher):
    before = copy.deepcopy(cfg)
    aligner = build_aligner(cfg, STUDENT, teacher)
    assert cfg == before
    feature = torch.randn(2, *STUDENT.shape, requires_grad=True)
    output = aligner(feature)
    assert output.shape == (2, *teacher.shape)
    (output * torch.randn_like(output)).sum().backward()
    assert torch.isfinite(feature.grad).all() and feature.grad.abs().sum() > 0
    for name, parameter in aligner.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('channels', [(4, 4), (6, 4), (4, 6)])
def test_an_identity_projection_copies_the_channels_that_both_have(channels):
    projection = OrthogonalProjection(*channels, identity=True)
    feature = torch.randn(2, channels[0], 3, 3)
    common = min(channels)
    assert torch.allclose(projection(feature)[:, :common], feature[:, :common], atol=1e-6)
    assert projection(feature)[:, common:].abs().sum() < 1e-5
    optimizer = torch.optim.AdamW(projection.parameters(), lr=0.05, weight_decay=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        (projection(feature) - torch.randn(2, channels[1], 3, 3)).pow(2).mean().backward()
        optimizer.step()
    weight = projection.weight().detach()
    gram = weight @ weight.T if channels[0] >= channels[1] else weight.T @ weight
    assert (gram - torch.eye(common)).abs().max() < 1e-5
    assert (weight - torch.eye(channels[1], channels[0])).abs().max() > 1e-2  # it left the identity


def test_without_position_content_queries_tell_cells_apart_and_learned_ones_do_not_know_the_student():
    """Two maps with their columns exchanged: learned queries gather the same mean, content queries follow the map."""
    feature = torch.randn(1, *STUDENT.shape)
    order = [4, 3, 0, 1, 2]
    for content, moves in ((False, False), (True, True)):
        block = build_aligner(dict(type='AOAAligner', num_heads=4, content=content), STUDENT, WIDE_TEACHER).attention
        block.eval()
        block.stem[0] = torch.nn.Conv2d(16, 16, 1, bias=False)  # a 3x3 one would mix the columns
        torch.nn.init.ones_(block.query.weight)  # each cell asks the same
        with torch.no_grad():
            one, other = block(feature), block(feature[..., order])
        assert torch.allclose(one[..., order], other, atol=1e-5)
        assert torch.allclose(one, one.mean((2, 3), keepdim=True), atol=1e-5) != moves


def test_gradients_of_the_variants():
    small = level(4, 2, 2)
    for options in (dict(content=True), dict(residual=True, content=True, identity=True)):
        aligner = perturb(build_aligner(dict(type='AOAAligner', num_heads=2, **options), small, level(6, 4, 4)))
        aligner.double().eval()
        feature = torch.randn(1, *small.shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(aligner, feature)


def test_an_identity_needs_the_orthogonal_projection():
    with pytest.raises(ValueError, match='identity=True starts its orthogonal projection'):
        build_aligner(dict(type='AOAAligner', orthogonal=False, identity=True), STUDENT, WIDE_TEACHER)


def test_ablations_drop_their_part():
    no_attention = build_aligner(dict(type='AOAAligner', attention=False), STUDENT, NARROW_TEACHER)
    no_orthogonal = build_aligner(dict(type='AOAAligner', orthogonal=False), STUDENT, NARROW_TEACHER)
    assert not any('attention' in name for name, _ in no_attention.named_parameters())
    assert isinstance(no_orthogonal.projection, torch.nn.Conv2d)
    with pytest.raises(ValueError, match='Conv1x1Aligner'):
        build_aligner(dict(type='AOAAligner', attention=False, orthogonal=False), STUDENT, NARROW_TEACHER)


def test_upsampling_convolutions_zoom_in_two_halves():
    aligner = build_aligner(dict(type='UpsampleConvAligner'), level(4, 4, 6), level(6, 16, 24))
    assert aligner.half_way == (8, 12)


@pytest.mark.parametrize('type_', ['AOAAligner', 'Conv1x1Aligner', 'UpsampleConvAligner'])
def test_checkpoints_and_copies_keep_the_output(type_, tmp_path):
    aligner = perturb(build_aligner(dict(type=type_), STUDENT, NARROW_TEACHER)).eval()
    other = build_aligner(dict(type=type_), STUDENT, NARROW_TEACHER).eval()
    feature = torch.randn(1, *STUDENT.shape)
    path = str(tmp_path / 'aligner.pth')
    save_checkpoint(aligner, path)
    load_checkpoint(other, path, map_location='cpu', strict=True)
    assert torch.equal(other(feature), aligner(feature))
    assert torch.equal(copy.deepcopy(aligner)(feature), aligner(feature))
    third = build_aligner(dict(type=type_), STUDENT, NARROW_TEACHER).eval()
    third.load_state_dict(aligner.state_dict())
    assert torch.equal(third(feature), aligner(feature))


def test_half_precision_keeps_the_weight_in_float32():
    aligner = build_aligner(dict(type='AOAAligner'), STUDENT, NARROW_TEACHER)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        weight = aligner.projection.weight()
        output = aligner(torch.randn(1, *STUDENT.shape))
    assert weight.dtype == torch.float32
    assert (weight @ weight.T - torch.eye(8)).abs().max() < 1e-5
    assert torch.isfinite(output).all()


def test_bad_input_is_named():
    aligner = build_aligner(dict(type='Conv1x1Aligner'), STUDENT, NARROW_TEACHER)
    with pytest.raises(ValueError, match='built for a student map 16@3x5, got 16@4x5'):
        aligner(torch.zeros(1, 16, 4, 5))
    with pytest.raises(ValueError, match='16 channels cannot have 3 heads'):
        build_aligner(dict(type='AOAAligner', num_heads=3), STUDENT, NARROW_TEACHER)
    with pytest.raises(ValueError, match=r"\['teacher'\] come from the detectors"):
        build_aligner(dict(type='Conv1x1Aligner', teacher=NARROW_TEACHER), STUDENT, NARROW_TEACHER)
    with pytest.raises(TypeError, match='kernel'):
        build_aligner(dict(type='Conv1x1Aligner', kernel=3), STUDENT, NARROW_TEACHER)


def test_a_new_aligner_is_a_class_with_one_method():
    class Doubling(Aligner):
        def align(self, feature):
            return self.resize(2 * feature)

    ALIGNERS.register_module(name='DoublingForTest', module=Doubling, force=True)
    aligner = build_aligner(dict(type='DoublingForTest'), level(2, 2, 2), level(2, 4, 4))
    torch.testing.assert_close(aligner(torch.ones(1, 2, 2, 2)), torch.full((1, 2, 4, 4), 2.0))
