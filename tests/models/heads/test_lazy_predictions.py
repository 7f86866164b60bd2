"""Regression read at a few cells against the whole maps: values, gradients, borders, and what cannot be lazy."""

import copy

import pytest
import torch
from helpers.toy_models import toy_head_cfg
from mmcv.cnn import ConvModule
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models.builder import HEADS
from torch import nn

from mmdet3d_plugin.distill import DISTILL
from mmdet3d_plugin.models.heads.lazy_predictions import LazyPredictions, _patches, can_be_lazy, read_cells

CHANNELS, SIZE = 8, 16
NAMES = ['reg', 'height', 'dim', 'rot', 'vel']


def make_head(num_convs=2, kernel=3):
    """A frozen head in double precision with trained-looking weights, statistics and biases."""
    cfg = toy_head_cfg(CHANNELS, share_channels=CHANNELS)
    cfg['common_heads'] = {name: (channels, num_convs) for name, (channels, _) in cfg['common_heads'].items()}
    cfg['num_heatmap_convs'] = num_convs
    cfg['separate_head'] = dict(cfg['separate_head'], final_kernel=kernel)
    torch.manual_seed(0)
    head = HEADS.build(copy.deepcopy(cfg))
    for name, value in [*head.named_parameters(), *head.named_buffers()]:
        if name.endswith('running_var'):
            nn.init.uniform_(value, 0.5, 2.0)
        elif value.is_floating_point():
            nn.init.normal_(value, std=0.3)
    return head.double().eval().requires_grad_(False)


def make_map(height=SIZE, width=SIZE, batch=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, CHANNELS, height, width, generator=generator, dtype=torch.double).requires_grad_(True)


def lazy_answer(head, feature):
    """Lazy whatever the head's layers: its own method leaves alone what is one convolution."""
    shared = head.shared_conv(feature)
    return tuple([LazyPredictions(task_head, shared, task_head.heatmap(shared))] for task_head in head.task_heads)


def both(head, feature):
    """(task of the lazy answer, same task of the dense one)"""
    return lazy_answer(head, feature)[1][0], head([feature])[1][0]


@pytest.mark.parametrize('num_convs,kernel', [(1, 1), (1, 3), (2, 1), (2, 3), (3, 3), (2, 5)])
def test_values_and_gradients_at_every_cell_of_a_small_map(num_convs, kernel):
    """Of 4 x 5 cells all see beyond a border, where intermediate maps are zero and not what a bias makes of zeros."""
    head, feature = make_head(num_convs, kernel), make_map(4, 5)
    lazy, dense = both(head, feature)
    indices = torch.arange(20).expand(2, -1)
    ours = read_cells(lazy, NAMES, indices, torch.ones(2, 20, dtype=torch.bool))
    theirs = torch.cat([dense[name] for name in NAMES], dim=1).flatten(2).transpose(1, 2)
    torch.testing.assert_close(ours, theirs.float())
    weight = torch.randn_like(theirs)
    ours, theirs = (torch.autograd.grad((values * weight).sum(), feature)[0] for values in (ours, theirs))
    assert theirs.abs().sum() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)  # the lazy values went through float32


def test_branches_of_different_reach_and_layers_side_by_side():
    head, feature = make_head(), make_map(4, 5)
    unlike = dict(
        height=nn.Sequential(nn.Conv2d(CHANNELS, 1, 1)),
        dim=nn.Sequential(ConvModule(CHANNELS, CHANNELS, 5, padding=2, groups=2), nn.Conv2d(CHANNELS, 3, 1)),
        vel=nn.Sequential(ConvModule(CHANNELS, 4, 1, act_cfg=None), ConvModule(4, 2, 3, padding=1, norm_cfg=None)),
    )
    for name, branch in unlike.items():
        setattr(head.task_heads[1], name, branch.double().eval().requires_grad_(False))
    assert can_be_lazy(head.task_heads)
    lazy, dense = both(head, feature)
    ours = lazy.at(NAMES, torch.tensor([[7], [19]]), torch.ones(2, 1, dtype=torch.bool))
    theirs = torch.cat([dense[name] for name in NAMES], dim=1).flatten(2)[torch.arange(2), :, torch.tensor([7, 19])]
    torch.testing.assert_close(ours[:, 0], theirs)


def test_two_slots_may_hold_the_same_cell():
    lazy, dense = both(make_head(), feature := make_map(4, 5))
    ours = lazy.at(['dim'], torch.full((2, 2), 6), torch.ones(2, 2, dtype=torch.bool)).sum()
    theirs = 2 * dense['dim'].flatten(2)[:, :, 6].sum()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(value, feature)[0] for value in (ours, theirs)))


def test_a_map_read_without_gradients_has_them_afterwards():
    lazy, _ = both(make_head(), feature := make_map())
    with torch.no_grad():
        assert not lazy['reg'].requires_grad
    assert torch.autograd.grad(lazy['reg'].sum(), feature)[0].any()
    assert lazy['reg'] is lazy['reg']


def test_precision_is_that_of_the_feature_under_autocast():
    lazy, _ = both(make_head().float(), make_map().float())
    with torch.autocast('cpu', torch.bfloat16):
        mask = torch.ones(2, 1, dtype=torch.bool)
        assert lazy['reg'].dtype == lazy.at(NAMES, torch.zeros(2, 1).long(), mask).dtype == torch.float32


def test_masked_slots_are_zero_and_cost_no_gradient():
    lazy, _ = both(make_head(), feature := make_map())
    mask = torch.tensor([[True, False], [False, False]])
    values = lazy.at(NAMES, torch.tensor([[40, 41], [42, 43]]), mask)
    assert values[0, 0].abs().min() > 0 and not values[~mask].any()
    (gradient,) = torch.autograd.grad(values.sum(), feature)
    assert gradient[0].any() and not gradient[1].any()


def test_no_cell_at_all():
    lazy, _ = both(make_head(), feature := make_map())
    values = lazy.at(NAMES, torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3, dtype=torch.bool))
    assert values.shape == (2, 3, 10) and not values.any()
    assert not torch.autograd.grad(values.sum(), feature)[0].any()


def test_as_a_mapping_it_is_the_dense_answer():
    head, feature = make_head(), make_map()
    lazy, dense = both(head, feature)
    assert isinstance(lazy, LazyPredictions)
    assert list(lazy) == list(dense) and len(lazy) == len(dense) and 'reg' in lazy and 'iou' not in lazy
    for name in dense:
        torch.testing.assert_close(lazy[name], dense[name])
    with pytest.raises(KeyError):
        lazy['iou']


def test_asking_what_there_is_computes_nothing(monkeypatch):
    lazy, _ = both(make_head(), make_map())
    monkeypatch.setattr(nn.functional, 'conv2d', lambda *args, **kwargs: pytest.fail('a convolution ran'))
    monkeypatch.setattr(nn.Conv2d, 'forward', lambda *args, **kwargs: pytest.fail('a convolution ran'))
    assert 'vel' in lazy and set(lazy) == {*NAMES, 'heatmap'} and lazy['heatmap'].shape[1] == 2


@pytest.mark.parametrize('count', [0, 5])
def test_loss_of_a_head_is_the_same(count):
    head = make_head()
    generator = torch.Generator().manual_seed(2)
    boxes, labels = [], []
    for _ in range(2):
        rows = torch.rand(count, 9, generator=generator) * 4 + 0.5
        rows[:, :2] = (torch.rand(count, 2, generator=generator) - 0.5) * 25.5  # edges of the map included
        boxes.append(LiDARInstance3DBoxes(rows, box_dim=9))
        labels.append(torch.randint(10, (count,), generator=generator))
    feature = make_map()
    lazy, dense = (head.loss(preds, boxes, labels) for preds in (head.predict_lazily(feature), head([feature])))
    assert (sum(value for name, value in dense.items() if 'bbox' in name) > 0) == (count > 0)
    for name in dense:
        torch.testing.assert_close(lazy[name], dense[name], rtol=1e-5, atol=1e-7)
    ours, theirs = (torch.autograd.grad(sum(losses.values()), feature)[0] for losses in (lazy, dense))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_loss_of_a_head_computes_no_regression_map(monkeypatch):
    head, read = make_head(), []
    monkeypatch.setattr(
        LazyPredictions,
        '__getitem__',
        lambda self, name, original=LazyPredictions.__getitem__: read.append(name) or original(self, name),
    )
    boxes = LiDARInstance3DBoxes(torch.tensor([[1.0, 2.0, 0.0, 4.0, 2.0, 1.5, 0.3, 0.0, 0.0]]), box_dim=9)
    losses = head.loss(head.predict_lazily(make_map()), [boxes] * 2, [torch.zeros(1).long()] * 2)
    assert losses['task0.loss_bbox'] > 0 and set(read) == {'heatmap'}


def test_gradients_of_overlapping_patches_are_the_same_every_time():
    """Crowded cells of a full-size map: with two threads, advanced indexing gave other roundings in each of 20 runs."""
    feature = torch.randn(1, 64, 128, 128, requires_grad=True)
    cells = torch.randint(0, 40 * 128, (2000,))
    weight = torch.randn(2000, 64, 5, 5)

    def gradient():
        patches, _ = _patches(feature, torch.zeros_like(cells), cells, 2)
        return torch.autograd.grad((patches * weight).sum(), feature)[0]

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(5))
    finally:
        torch.set_num_threads(threads)


def test_decoding_and_the_dense_response_loss_are_the_same():
    head, feature = make_head(), make_map()
    metas = [dict(box_type_3d=LiDARInstance3DBoxes)] * 2
    lazy, dense = head.predict_lazily(feature), head([feature])
    for ours, theirs in zip(head.decode(lazy, metas), head.decode(dense, metas)):
        assert len(theirs[1]) > 0
        torch.testing.assert_close(ours[0].tensor, theirs[0].tensor)
        torch.testing.assert_close(ours[1:], theirs[1:])
    loss = DISTILL.build(dict(type='CrossHeadDenseLoss', temperature=1.0))
    teacher = head([feature.detach().roll(1, 3)])
    ours, theirs = (loss(head, preds, teacher, metas) for preds in (lazy, dense))
    assert theirs['raw_bbox'] > 0
    torch.testing.assert_close(ours, theirs)


def _train(head):
    head.task_heads[0].reg[0].bn.train()


def _stride(head):
    head.task_heads[0].reg[1].stride = (2, 2)


def _even(head):
    head.task_heads[0].reg[1] = nn.Conv2d(CHANNELS, 2, 2, padding=1)


def _reflect(head):
    head.task_heads[0].reg[1].padding_mode = 'reflect'


def _group_norm(head):
    head.task_heads[0].reg[0].add_module(head.task_heads[0].reg[0].norm_name, nn.GroupNorm(2, CHANNELS))


def _batch_statistics(head):
    bn = head.task_heads[0].reg[0].bn
    bn.running_mean = bn.running_var = None


def _hook(head):
    nn.utils.spectral_norm(head.task_heads[0].reg[1])


def _foreign(head):
    head.task_heads[0] = nn.ModuleDict()


@pytest.mark.parametrize('change', [_train, _stride, _even, _reflect, _group_norm, _batch_statistics, _hook, _foreign])
def test_layers_that_look_further_are_run_on_the_whole_map(change):
    head = make_head()
    assert can_be_lazy(head.task_heads)
    change(head)
    assert not can_be_lazy(head.task_heads)


def test_a_head_that_cannot_be_lazy_answers_with_maps():
    head, feature = make_head(), make_map()
    assert type(head.predict_lazily(feature)[0][0]) is LazyPredictions
    _train(head)
    assert type(head.predict_lazily(feature)[0][0]) is dict


def test_a_head_of_single_convolutions_answers_with_maps():
    """They are run as one, which costs less than the heatmaps and some cells apart."""
    assert type(make_head(num_convs=1, kernel=1).predict_lazily(make_map())[0][0]) is dict
