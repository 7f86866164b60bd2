"""Region-weighted feature loss against a slow per-cell reference, forward and gradient."""

import copy
import math

import pytest
import torch

from mmdet3d_plugin.distill import DISTILL
from mmdet3d_plugin.distill.regions import build_regions
from mmdet3d_plugin.structures import BEVGrid

GRID = BEVGrid(x_min=0.0, y_min=0.0, x_max=6.0, y_max=5.0, height=5, width=6)


def make_loss(**kwargs):
    return DISTILL.build(dict(type='RegionWeightedFeatureLoss', **kwargs))


def make_regions(fp=True):
    """A rotated box pair in the first sample, nothing in the second; false positives in both."""
    first = torch.tensor([[2.0, 2.0, 0, 2.6, 1.6, 1, 0.4, 0, 0], [2.5, 2.5, 0, 3.0, 1.0, 1, -1.0, 0, 0]])
    if not fp:
        return build_regions([first, first[:0]], GRID)
    gt = torch.zeros(2, 5, 6)
    teacher = torch.zeros(2, 5, 6)
    teacher[:, 4, 2:] = 0.7
    teacher[1, 0, 0] = 0.2
    return build_regions([first, first[:0]], GRID, target=gt, teacher=teacher)


def softmax_times_count(values, temperature):
    powers = [math.exp(value / temperature) for value in values]
    return [len(values) * power / sum(powers) for power in powers]


def reference(student, teacher, regions, weights, *, attention, ratio, temperature, scale, channel, conv=None):
    """The same losses with Python floats and loops over samples, cells and channels (attention is a constant)."""
    batch, channels, height, width = student.shape
    totals = dict.fromkeys(weights, 0.0)
    for b in range(batch):
        sites = [(i, j) for i in range(height) for j in range(width)]
        energy = {
            name: [sum(abs(f[b, c, i, j].item()) for c in range(channels)) / channels for i, j in sites]
            for name, f in (('s', student), ('t', teacher))
        }
        of_teacher = softmax_times_count(energy['t'], temperature)
        of_student = softmax_times_count(energy['s'], temperature)
        per_channel = [sum(abs(teacher[b, c, i, j].item()) for i, j in sites) / len(sites) for c in range(channels)]
        of_channel = softmax_times_count(per_channel, temperature)
        n_fp = sum(bool(regions.fp[b, i, j]) for i, j in sites)
        n_fg = sum(bool(regions.fg[b, i, j]) for i, j in sites)
        n_bg = len(sites) - n_fp - n_fg
        for n, (i, j) in enumerate(sites):
            if attention == 'teacher_student':
                a = (of_teacher[n] + ratio * of_student[n]) / (1 + ratio)
            else:
                a = of_teacher[n] if attention == 'teacher' else 1.0
            name = 'fg' if regions.fg[b, i, j] else 'fp' if regions.fp[b, i, j] else 'bg'
            if name not in weights:
                continue
            bg_scale = 1 / n_bg if n_bg > 0 else 0.0
            s = {'fg': max(regions.fg_scale[b, i, j].item(), bg_scale), 'bg': bg_scale, 'fp': 1 / max(n_fp, 1)}[name]
            for c in range(channels):
                difference = student[b, c, i, j] - teacher[b, c, i, j].item()
                factor = of_channel[c] if name == 'fp' and channel else 1.0
                totals[name] = totals[name] + difference**2 * (s if scale else 1.0) * a * factor / batch
        if 'spatial' in weights:
            kernel, bias = conv.weight[0, 0], conv.bias[0]
            mean = student[b].mean(0)
            for i, j in sites:
                value = bias
                for di in (-1, 0, 1):
                    for dj in (-1, 0, 1):
                        if 0 <= i + di < height and 0 <= j + dj < width:
                            value = value + kernel[di + 1, dj + 1] * mean[i + di, j + dj]
                totals['spatial'] = totals['spatial'] + (teacher[b, :, i, j].mean() - value).abs() / batch
    return totals


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(attention='teacher'),
        dict(attention=None),
        dict(student_ratio=0.25, temperature=0.8),
        dict(fp_channel_attention=False),
        dict(scale=False),
        dict(spatial_weight=0.0),
    ],
    ids=str,
)
def test_values_and_gradients_match_the_reference(options):
    loss = make_loss(fp_weight=6e-2, **options)
    student = torch.randn(2, 3, 5, 6, requires_grad=True)
    teacher = torch.randn(2, 3, 5, 6)
    regions = make_regions()
    actual = loss(student, teacher, regions)
    totals = reference(
        student,
        teacher,
        regions,
        loss.weights,
        attention=options.get('attention', 'teacher_student'),
        ratio=options.get('student_ratio', 1.0),
        temperature=options.get('temperature', 0.5),
        scale=options.get('scale', True),
        channel=options.get('fp_channel_attention', True),
        conv=getattr(loss, 'spatial_conv', None),
    )
    assert set(actual) == {f'{kind}_{name}' for name in totals for kind in ('loss', 'raw')}
    for name, total in totals.items():
        assert actual[f'raw_{name}'].item() == pytest.approx(total.item(), rel=1e-4), name
        assert actual[f'loss_{name}'].item() == pytest.approx(loss.weights[name] * total.item(), rel=1e-4), name
        assert total.item() > 0
    parameters = [student, *loss.parameters()]
    got = torch.autograd.grad(sum(v for k, v in actual.items() if 'loss' in k), parameters)
    want = torch.autograd.grad(sum(loss.weights[name] * total for name, total in totals.items()), parameters)
    for g, w in zip(got, want):
        torch.testing.assert_close(g, w, rtol=1e-4, atol=1e-6)


def weights_of_cells(loss, regions):
    """(B, H, W) weight of each cell in the loss, read off its gradient: no attention, S - T = 1/2 in one channel."""
    student = torch.full((2, 1, 5, 6), 0.5, requires_grad=True)
    losses = loss(student, torch.zeros(2, 1, 5, 6), regions)
    (gradient,) = torch.autograd.grad(sum(value for name, value in losses.items() if 'loss' in name), student)
    return 2 * gradient[:, 0]  # the batch of two halves it


PLAIN = dict(fg_weight=0.5, bg_weight=2.0, spatial_weight=0.0, attention=None, fp_channel_attention=False)


@pytest.mark.parametrize('fp_weight', [0.0, 3.0])
@pytest.mark.parametrize('scale', [True, False])
def test_spread_evens_out_weights_and_keeps_their_sum(fp_weight, scale):
    regions = make_regions(fp=fp_weight > 0)
    options = dict(PLAIN, fp_weight=fp_weight, scale=scale)
    by_object, by_region, even = (
        weights_of_cells(make_loss(**options, spread=spread), regions) for spread in ('object', 'region', 'map')
    )
    for sample in range(2):
        common = by_object[sample].mean().item()
        for row in range(5):
            for col in range(6):
                assert even[sample, row, col].item() == pytest.approx(common, rel=1e-5)
                (mask,) = [m[sample] for m in (regions.fg, regions.bg, regions.fp) if m[sample, row, col]]
                of_region = by_object[sample][mask].mean().item()
                assert by_region[sample, row, col].item() == pytest.approx(of_region, rel=1e-5)
    assert scale == ((by_region - by_object).abs().max().item() > 1e-3)  # two boxes of different size


def test_spread_over_a_hand_counted_map():
    """One box of 2 x 2 cells and 26 cells around it: scales 1/2 and 1/26, weights 0.5 and 2."""
    regions = build_regions([torch.tensor([[2.0, 2.0, 0, 2.0, 2.0, 1, 0, 0, 0]])] * 2, GRID)
    weights = weights_of_cells(make_loss(**PLAIN, spread='map'), regions)
    torch.testing.assert_close(weights, torch.full((2, 5, 6), (4 * 0.5 * 0.5 + 26 * 2 / 26) / 30))
    weights = weights_of_cells(make_loss(**PLAIN, spread='region'), regions)
    torch.testing.assert_close(weights, torch.where(regions.fg, 0.25, 2 / 26))


def test_even_terms_are_weighted_raw_terms():
    loss = make_loss(fp_weight=6e-2, spread='map')
    losses = loss(torch.randn(2, 3, 5, 6), torch.randn(2, 3, 5, 6), make_regions())
    for name, weight in loss.weights.items():
        torch.testing.assert_close(losses[f'loss_{name}'], weight * losses[f'raw_{name}'])


def test_defaults_are_the_methods():
    loss = make_loss()
    assert loss.weights == dict(fg=6e-3, bg=4e-2, spatial=2.5e-3)
    assert loss.fp_channel_attention and not loss.needs_false_positives
    assert loss.spread == 'object' and loss.scale
    assert loss.attention == 'teacher_student' and loss.temperature == 0.5 and loss.student_ratio == 1.0


def test_each_weight_scales_its_own_term_only():
    student, teacher, regions = torch.randn(2, 3, 5, 6), torch.randn(2, 3, 5, 6), make_regions()
    base = dict(fg_weight=1.0, bg_weight=1.0, fp_weight=1.0, spatial_weight=1.0)
    plain = make_loss(**base)
    for name in ('fg', 'bg', 'fp', 'spatial'):
        heavier = make_loss(**{**base, f'{name}_weight': 3.0})
        heavier.load_state_dict(plain.state_dict())
        before, after = plain(student, teacher, regions), heavier(student, teacher, regions)
        for key in before:
            factor = 3.0 if key == f'loss_{name}' else 1.0
            torch.testing.assert_close(after[key], factor * before[key])


def test_attention_is_not_differentiated_and_teacher_gets_no_gradient():
    loss = make_loss(spatial_weight=0.0, scale=False)
    student = torch.randn(1, 3, 5, 6, requires_grad=True)
    teacher = torch.randn(1, 3, 5, 6, requires_grad=True)
    regions = build_regions([torch.zeros(0, 9)], GRID)
    out = loss(student, teacher, regions)['loss_bg']
    out.backward()
    attention = loss.cell_weights(student, teacher)
    torch.testing.assert_close(student.grad, loss.weights['bg'] * 2 * (student - teacher).detach() * attention[:, None])
    assert teacher.grad is None
    assert attention.mean().item() == pytest.approx(1.0, rel=1e-5)


def test_equal_maps_cost_nothing_and_empty_regions_are_finite():
    feature = torch.randn(2, 3, 5, 6)
    losses = make_loss(fp_weight=1.0, spatial_weight=0.0)(feature, feature, make_regions())
    assert all(value == 0 for value in losses.values())
    whole = torch.tensor([[3.0, 2.5, 0, 20.0, 20.0, 1, 0, 0, 0]])
    zeros = torch.zeros(2, 5, 6)
    regions = build_regions([whole, whole[:0]], GRID, target=zeros, teacher=zeros)
    losses = make_loss(fp_weight=1.0)(feature, -feature, regions)
    assert losses['loss_fp'] == 0 and all(torch.isfinite(value) for value in losses.values())


def test_no_grad_flows_through_raw_terms_and_names_suit_the_runner():
    student = torch.randn(2, 3, 5, 6, requires_grad=True)
    losses = make_loss()(student, torch.randn(2, 3, 5, 6), make_regions(fp=False))
    for name, value in losses.items():
        assert value.shape == () and value.requires_grad == ('loss' in name)


def test_half_precision_inputs_give_float32_losses():
    student = torch.randn(2, 3, 5, 6).bfloat16()
    teacher = torch.randn(2, 3, 5, 6)
    loss = make_loss()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        under_autocast = loss(student, teacher, make_regions(fp=False))
    plain = loss(student.float(), teacher, make_regions(fp=False))
    for key, value in under_autocast.items():
        assert value.dtype == torch.float32 and torch.equal(value, plain[key])


def test_large_features_do_not_overflow():
    student, teacher = 300 * torch.randn(1, 3, 5, 6), 300 * torch.randn(1, 3, 5, 6)
    losses = make_loss()(student, teacher, build_regions([torch.zeros(0, 9)], GRID))
    assert all(torch.isfinite(value) for value in losses.values())


def test_bad_configuration_is_named():
    with pytest.raises(ValueError, match='attention must be one of'):
        make_loss(attention='student')
    with pytest.raises(ValueError, match='spread must be one of'):
        make_loss(spread='cell')
    with pytest.raises(ValueError, match='fg_weight and bg_weight must not be 0, got 0.1, 0'):
        make_loss(spread='map', fg_weight=0.1, bg_weight=0)
    with pytest.raises(ValueError, match='weights must be >= 0'):
        make_loss(fg_weight=-1.0)
    with pytest.raises(ValueError, match='not all 0'):
        make_loss(fg_weight=0, bg_weight=0, spatial_weight=0)
    with pytest.raises(ValueError, match=r'aligned student map is \(1, 2, 5, 6\), teacher map \(1, 3, 5, 6\)'):
        make_loss()(torch.zeros(1, 2, 5, 6), torch.zeros(1, 3, 5, 6), build_regions([torch.zeros(0, 9)], GRID))


def test_config_is_not_changed():
    cfg = dict(type='RegionWeightedFeatureLoss', fp_weight=6e-2)
    before = copy.deepcopy(cfg)
    DISTILL.build(cfg)
    assert cfg == before
