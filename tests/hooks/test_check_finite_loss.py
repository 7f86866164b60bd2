from types import SimpleNamespace

import pytest
import torch
from mmcv.parallel import DataContainer

from mmdet3d_plugin.hooks import CheckFiniteLossHook

METAS = [dict(sample_idx='a1'), dict(sample_idx='b2')]


def check(loss, log_vars, img_metas=METAS):
    runner = SimpleNamespace(
        outputs=dict(loss=torch.tensor(loss), log_vars=log_vars),
        data_batch=dict(img_metas=img_metas),
        epoch=2,
        inner_iter=6,
        rank=1,
    )
    CheckFiniteLossHook().after_train_iter(runner)


def test_finite_losses_pass():
    check(1.0, dict(loss=1.0, loss_depth=0.0))


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
@pytest.mark.parametrize('metas', [METAS, DataContainer([METAS], cpu_only=True)])
def test_the_error_names_term_samples_and_place(value, metas):
    with pytest.raises(FloatingPointError) as caught:
        check(value, {'loss': value, 'loss_depth': 1.0, 'distill.head.loss_fg': value}, metas)
    message = str(caught.value)
    for part in (f'distill.head.loss_fg = {value}', "['a1', 'b2']", 'epoch 3, iteration 7', 'rank 1'):
        assert part in message
    assert 'loss_depth' not in message
    assert 'other ranks' not in message


def test_a_sum_that_overflows_is_named_when_its_terms_are_finite():
    with pytest.raises(FloatingPointError, match='loss = inf'):
        check(float('inf'), dict(loss=float('inf'), loss_a=3e38, loss_b=3e38))


def test_an_unlogged_non_finite_loss_is_found():
    with pytest.raises(FloatingPointError, match='loss = not finite'):
        check(float('nan'), {})


def test_a_term_that_is_only_logged_is_said_to_be_so():
    with pytest.raises(FloatingPointError, match='distill.raw_fg = nan.*the loss itself is finite') as caught:
        check(1.0, {'loss': 1.0, 'distill.raw_fg': float('nan')})
    assert 'other ranks' not in str(caught.value)


def test_a_rank_with_a_finite_loss_points_at_the_others():
    with pytest.raises(FloatingPointError, match='other ranks'):
        check(1.0, dict(loss=float('nan'), loss_a=float('nan')))
