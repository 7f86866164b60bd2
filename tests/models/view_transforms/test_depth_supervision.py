import itertools
import math

import pytest
import torch

from mmdet3d_plugin.models.view_transforms.depth_supervision import depth_bin_targets, depth_loss

BOUND = (1.0, 5.0, 1.0)


def test_bins_of_depths_at_borders():
    depth = torch.tensor([0.0, 0.5, 1.0, 1.99, 2.0, 4.999, 5.0, 80.0, -3.0, float('nan'), float('inf')])
    bins, labelled = depth_bin_targets(depth, BOUND)
    assert labelled.tolist() == [False, False, True, True, True, True, False, False, False, False, False]
    assert bins[labelled].tolist() == [0, 0, 1, 3]
    assert not bins[~labelled].any()


def test_zero_is_unlabelled_even_where_bins_start_at_zero():
    bins, labelled = depth_bin_targets(torch.tensor([0.0, 0.25]), (0.0, 2.0, 0.5))
    assert labelled.tolist() == [False, True]
    assert bins.tolist() == [0, 0]


def test_bins_with_another_step():
    bins, labelled = depth_bin_targets(torch.tensor([2.0, 2.5, 9.9]), (2.0, 10.0, 0.5))
    assert labelled.all() and bins.tolist() == [0, 1, 15]


def _slow_loss(logits, gt_depth):
    total = 0.0
    for b, n, i, j in itertools.product(*(range(gt_depth.shape[axis]) for axis in range(4))):
        depth = float(gt_depth[b, n, i, j])
        if not 1.0 <= depth < 5.0:
            continue
        for d in range(4):
            prob = 1 / (1 + math.exp(-float(logits[b, n, d, i, j])))
            total -= math.log(prob) if d == math.floor(depth - 1) else math.log(1 - prob)
    return total / logits.numel()


def test_equals_the_slow_reference():
    logits = torch.randn(2, 3, 4, 2, 5) * 3
    gt_depth = torch.rand(2, 3, 2, 5) * 8
    gt_depth[0, 0] = 0
    assert depth_loss(logits, gt_depth, BOUND).item() == pytest.approx(_slow_loss(logits, gt_depth), rel=1e-5)


def test_gradient():
    logits = torch.randn(1, 1, 4, 2, 2, requires_grad=True)
    gt_depth = torch.tensor([[[[1.5, 0.0], [9.0, 4.5]]]])
    depth_loss(logits, gt_depth, BOUND).backward()
    expected = torch.zeros_like(logits)
    for (i, j), hit in {(0, 0): 0, (1, 1): 3}.items():
        target = torch.zeros(4)
        target[hit] = 1
        expected[0, 0, :, i, j] = (logits.detach()[0, 0, :, i, j].sigmoid() - target) / 16
    torch.testing.assert_close(logits.grad, expected)


def test_no_label_gives_zero_loss_and_gradients():
    logits = torch.randn(1, 2, 4, 2, 2, requires_grad=True)
    loss = depth_loss(logits, torch.zeros(1, 2, 2, 2), BOUND)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_runs_in_fp32_on_half_logits_and_stays_finite_at_extremes():
    logits = torch.full((1, 1, 4, 1, 1), 300.0, dtype=torch.float16, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        loss = depth_loss(logits, torch.full((1, 1, 1, 1), 2.5), BOUND)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(3 * 300 / 4)
    assert logits.grad.isfinite().all()


def test_a_depth_map_of_another_size_is_an_error():
    with pytest.raises(ValueError, match=r'gt_depth is \(1, 2, 4, 4\).*\(1, 2, 2, 2\).*stride'):
        depth_loss(torch.zeros(1, 2, 4, 2, 2), torch.zeros(1, 2, 4, 4), BOUND)
