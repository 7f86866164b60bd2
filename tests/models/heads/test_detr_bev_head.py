"""DETRBEVHead: losses by hand, detections, confidence, inherited parts, precision."""

import copy
import math

import pytest
import torch
from helpers.bev import level
from helpers.query_heads import CLASSES, META, boxes_of, build_query_head, query_head_cfg, random_boxes
from helpers.query_heads import random_predictions as predictions_of
from helpers.toy_models import TOY_RANGE, toy_head_cfg
from mmdet3d.models.builder import build_head

from mmdet3d_plugin.models.heads import BEVHead, detr_bev_head
from mmdet3d_plugin.models.heads.query_predictions import QueryPredictions
from mmdet3d_plugin.structures import BEVGrid

GRID = BEVGrid.from_range(TOY_RANGE, 32, 32)


@pytest.fixture(scope='module')
def head():
    return build_query_head(num_query=5).eval()


def focal(logit, target):
    """Sigmoid focal loss of one logit, alpha 0.25, gamma 2."""
    p = 1 / (1 + math.exp(-logit))
    return -0.25 * (1 - p) ** 2 * math.log(p) if target else -0.75 * p**2 * math.log(1 - p)


def three_queries_two_boxes():
    """Query 2 says box 0, but 0.5 m in x and 2 m/s in vy; query 0 box 1, but twice as high; query 1 is idle."""
    boxes = boxes_of([[3.0, 1.0, -1.0, 4.0, 2.0, 1.5, 0.3, 1.0, 2.0], [-6.0, 2.0, -1.0, 1.0, 1.0, 2.0, -2.0, 0, 0]])
    labels = torch.tensor([4, 7])
    head = build_query_head(num_query=3)
    codes = torch.zeros(1, 1, 3, 10)
    codes[0, 0, [2, 0]] = head.bbox_coder.encode(boxes)
    codes[0, 0, 2, 0] += 0.5
    codes[0, 0, 2, 9] += 2.0
    codes[0, 0, 0, 5] += math.log(2.0)
    logits = torch.full((1, 1, 3, 10), -3.0)
    logits[0, 0, 2, 4], logits[0, 0, 0, 7], logits[0, 0, 1, 5] = 1.0, 0.5, 0.25
    return head, QueryPredictions(logits, codes), boxes, labels


def test_losses_of_three_queries_and_two_boxes_by_hand():
    head, predictions, boxes, labels = three_queries_two_boxes()
    losses = head.loss(predictions, [boxes], [labels], [META])
    expected = focal(1.0, True) + focal(0.5, True) + focal(0.25, False) + 27 * focal(-3.0, False)
    assert set(losses) == {'loss_cls', 'loss_bbox'}
    assert losses['loss_cls'].item() == pytest.approx(2 * expected / 2, rel=1e-5)
    assert losses['loss_bbox'].item() == pytest.approx(0.25 * (0.5 + 0.2 * 2.0 + math.log(2.0)) / 2, rel=1e-5)


def test_unknown_velocity_costs_nothing_and_the_rest_of_the_row_stays():
    head, predictions, boxes, labels = three_queries_two_boxes()
    boxes.tensor[0, 7:] = float('nan')
    losses = head.loss(predictions, [boxes], [labels], [META])
    assert losses['loss_bbox'].item() == pytest.approx(0.25 * (0.5 + math.log(2.0)) / 2, rel=1e-5)


def test_each_layer_is_matched_by_itself_and_named(head):
    predictions = predictions_of(layers=3)
    boxes, labels = zip(random_boxes(2), random_boxes(3, seed=1))
    losses = head.loss(predictions, boxes, labels, [META] * 2)
    assert list(losses) == [f'{group}loss_{term}' for group in ('d0.', 'd1.', '') for term in ('cls', 'bbox')]
    for layer, group in enumerate(('d0.', 'd1.', '')):
        alone = QueryPredictions(*(part[layer : layer + 1] for part in predictions))
        for name, value in head.loss(alone, boxes, labels, [META] * 2).items():
            torch.testing.assert_close(losses[group + name], value)


def test_a_batch_counts_its_matches_together(head):
    """Loss of a batch times its matches = sum over the samples of theirs."""
    predictions = predictions_of(layers=1)
    samples = [random_boxes(1), random_boxes(4, seed=1)]
    boxes, labels = zip(*samples)
    both = head.loss(predictions, boxes, labels, [META] * 2)
    alone = [
        head.loss(QueryPredictions(*(part[:, [i]] for part in predictions)), [box], [label], [META])
        for i, (box, label) in enumerate(samples)
    ]
    for name, value in both.items():
        torch.testing.assert_close(5 * value, alone[0][name] + 4 * alone[1][name])


def test_the_count_is_the_mean_over_processes(head, monkeypatch):
    """Another process matched 7 queries where this one matched 3: both divide by 5."""
    predictions, (boxes, labels) = predictions_of(layers=1, batch=1), random_boxes(3)
    alone = head.loss(predictions, [boxes], [labels], [META])
    monkeypatch.setattr(detr_bev_head, 'reduce_mean', lambda count: (count + 7) / 2)
    together = head.loss(predictions, [boxes], [labels], [META])
    for name, value in together.items():
        torch.testing.assert_close(5 * value, 3 * alone[name])


def test_without_any_box_all_queries_are_background(head):
    predictions = predictions_of(layers=1)
    none = [boxes_of([])] * 2, [torch.zeros(0, dtype=torch.long)] * 2
    losses = head.loss(predictions, *none, [META] * 2)
    expected = sum(focal(logit, False) for logit in predictions.logits.flatten().tolist())
    assert losses['loss_cls'].item() == pytest.approx(2 * expected, rel=1e-5)
    assert losses['loss_bbox'] == 0
    sum(losses.values()).backward()
    assert predictions.codes.grad is not None and not predictions.codes.grad.any()


def test_gradients_of_the_box_loss_reach_matched_queries_only():
    head, predictions, boxes, labels = three_queries_two_boxes()
    codes = predictions.codes.requires_grad_()
    head.loss(QueryPredictions(predictions.logits, codes), [boxes], [labels], [META])['loss_bbox'].backward()
    assert not codes.grad[0, 0, 1].any()
    assert codes.grad[0, 0, 2].tolist() == [0.125, 0, 0, 0, 0, 0, 0, 0, 0, pytest.approx(0.025)]


def test_predictions_are_left_as_they_are(head):
    predictions = predictions_of()
    before = [part.clone() for part in predictions]
    boxes, labels = zip(random_boxes(2), random_boxes(3))
    head.loss(predictions, boxes, labels, [META] * 2)
    head.decode(predictions, [META] * 2, temperature=0.1)
    head.confidence(predictions, GRID)
    assert all(torch.equal(part, old) for part, old in zip(predictions, before))


def test_detections_are_the_last_layers_with_the_bottom_centre():
    head, predictions, boxes, labels = three_queries_two_boxes()
    both = QueryPredictions(*(torch.cat([torch.zeros_like(part), part]) for part in predictions))
    (found,) = head.decode(both, [META], score_threshold=0.6)
    assert found.labels.tolist() == [4, 7]
    expected = boxes.tensor.clone()
    expected[0, 0] += 0.5
    expected[0, 8] += 2.0
    expected[1, 2], expected[1, 5] = -2.0, 4.0  # twice as high about the same gravity centre
    torch.testing.assert_close(found.boxes.tensor, expected)
    assert isinstance(found.boxes, META['box_type_3d']) and not found.scores.requires_grad


def test_what_it_detects_is_what_it_would_be_taught():
    """Detections as targets of the same predictions cost no box loss: z goes to the bottom and back."""
    head = build_query_head(num_query=5)
    logits, codes = (part.detach() for part in predictions_of(layers=1, batch=1))
    codes[..., 6:8] /= codes[..., 6:8].norm(dim=-1, keepdim=True)
    logits[0, 0] = -9.0
    logits[0, 0, range(5), [3, 1, 4, 1, 5]] = torch.arange(5.0)
    own = QueryPredictions(logits, codes)
    (found,) = head.decode(own, [META])
    assert found.labels.tolist() == [5, 1, 4, 1, 3]
    losses = head.loss(own, [found.boxes], [found.labels], [META])
    assert losses['loss_bbox'].item() == pytest.approx(0.0, abs=1e-5)


def test_confidence_draws_scores_and_target_confidence_ones(head):
    boxes, labels = boxes_of([[3.0, -4.2, -1.0, 4.0, 1.5, 2.0, 0.5, 0, 0]]), torch.tensor([2])
    target = head.target_confidence([boxes, boxes_of([])], [labels, labels[:0]], GRID)
    assert target.shape == (2, 32, 32) and not target[1].any()
    assert target[0].argmax() == 10 * 32 + 19 and target[0].max() == 1  # 0.8 m cells from -12.8 m
    codes = torch.zeros(1, 2, 2, 10)
    codes[0, :, 0] = head.bbox_coder.encode(boxes)
    codes[0, :, 1, :2] = 30.0  # outside the grid
    logits = torch.full((1, 2, 2, 10), -8.0)
    logits[0, 0, :, 3], logits[0, 1] = 0.4, -8.0
    drawn = head.confidence(QueryPredictions(logits, codes.requires_grad_()), GRID)
    torch.testing.assert_close(drawn[0], target[0] * torch.tensor(0.4).sigmoid())
    assert not drawn[1].any() and not drawn.requires_grad


def test_two_boxes_keep_the_higher_value_and_any_grid_will_do(head):
    boxes = boxes_of([[0.2, 0.2, 0, 2, 2, 2, 0, 0, 0], [0.2, 0.2, 0, 8, 8, 2, 0, 0, 0]])
    for grid in (GRID, BEVGrid.from_range(TOY_RANGE, 5, 7)):
        target = head.target_confidence([boxes], [torch.tensor([0, 1])], grid)
        large = head.target_confidence([boxes[1:]], [torch.tensor([1])], grid)
        assert target.shape == (1, *grid.size) and torch.equal(target, torch.maximum(target, large))
    assert head.confidence_grid is None


@pytest.mark.parametrize(
    ('parts', 'expected'),
    [
        (None, {'cls_branches', 'reg_branches', 'transformer.decoder'}),
        (('queries', 'reference_points'), {'query_embedding', 'transformer.reference_points'}),
        (('decoder',), {'transformer.decoder'}),
    ],
)
def test_inherited_tensors_equal_the_teachers(parts, expected):
    ours, theirs = build_query_head(seed=1), build_query_head(seed=2)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)  # biases that start at zero would agree anyway
    ours.inherit(theirs, parts)
    given = theirs.state_dict()
    for name, value in ours.state_dict().items():
        inherited = any(name.startswith(f'{part}.') for part in expected)
        assert torch.equal(value, given[name]) == inherited, name
    assert given['query_embedding.weight'].data_ptr() != ours.query_embedding.weight.data_ptr()


def test_what_cannot_be_inherited_is_named():
    head = build_query_head()
    with pytest.raises(ValueError, match=r"no part 'task_heads', it has branches, decoder, queries, reference_points"):
        head.inherit(build_query_head(), ['task_heads'])
    with pytest.raises(ValueError, match='DETRBEVHead cannot start from the weights of BEVCenterHead'):
        head.inherit(build_head(toy_head_cfg(16)))
    with pytest.raises(ValueError, match='decoder of student and teacher differ in 22 entries'):
        head.inherit(build_query_head(num_layers=3), ['decoder'])
    with pytest.raises(ValueError, match='queries of student and teacher differ'):
        head.inherit(build_query_head(num_query=13), ['queries'])
    far = build_query_head(bbox_coder=dict(type='QueryBoxCoder', pc_range=[-50, -50, -5, 50, 50, 3], max_num=9))
    with pytest.raises(ValueError, match='places boxes in .*-12.8.*, the teacher head in .*-50'):
        head.inherit(far)


def test_every_parameter_learns_and_the_map_gets_a_gradient():
    head = build_query_head()
    bev_map = torch.randn(2, 16, 8, 8, requires_grad=True)
    boxes, labels = zip(random_boxes(3), random_boxes(2, seed=1))
    with torch.no_grad():  # zero weights of the start would let the map's gradient through one path only
        for module in head.modules():
            if hasattr(module, 'sampling_offsets'):
                module.sampling_offsets.weight.normal_(std=0.1)
    sum(head.loss(head.predict(bev_map), boxes, labels, [META] * 2).values()).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert bev_map.grad.abs().sum() > 0


def test_autocast_changes_nothing(head):
    bev_map = torch.randn(1, 16, 8, 8)
    boxes, labels = random_boxes(3)
    plain = head.predict(bev_map, [META])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = head.predict(bev_map, [META])
        losses = head.loss(mixed, [boxes], [labels], [META])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(plain, mixed))
    assert all(value.dtype == torch.float32 for value in (*mixed, *losses.values()))
    for name, value in head.loss(plain, [boxes], [labels], [META]).items():
        assert torch.equal(losses[name], value)
    half = head.predict(bev_map.bfloat16(), [META])
    assert half.codes.dtype == torch.float32


def test_a_batch_says_what_its_samples_say(head):
    bev_map = torch.randn(3, 16, 8, 8)
    together = head.predict(bev_map)
    for index in range(3):
        alone = head.predict(bev_map[index : index + 1])
        for part, single in zip(together, alone):
            torch.testing.assert_close(part[:, index], single[:, 0], rtol=1e-4, atol=1e-5)


def test_groups_train_apart_and_the_first_answers_alone():
    """Each group says in training what a head with its queries alone would say."""
    torch.manual_seed(0)
    plain, grouped = (build_query_head(num_query=5, num_groups=groups) for groups in (1, 3))
    state = grouped.state_dict()
    bev_map, (boxes, labels) = torch.randn(2, 16, 8, 8), zip(random_boxes(3), random_boxes(2, seed=1))
    for module in (*plain.modules(), *grouped.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    together = grouped.train().predict(bev_map)
    losses = grouped.loss(together, boxes, labels, [META] * 2)
    single = []
    for group in range(3):
        rows = slice(5 * group, 5 * group + 5)
        plain.load_state_dict(dict(state, **{'query_embedding.weight': state['query_embedding.weight'][rows]}))
        alone = plain.train().predict(bev_map)
        for part, own in zip(together, alone):
            torch.testing.assert_close(part[:, :, rows], own, rtol=1e-4, atol=1e-5)
        single.append(plain.loss(alone, boxes, labels, [META] * 2))
    for name, value in losses.items():
        torch.testing.assert_close(value, sum(other[name] for other in single) / 3, rtol=1e-4, atol=1e-5)
    tested = grouped.eval().predict(bev_map)
    for part, own in zip(tested, together):
        torch.testing.assert_close(part, own[:, :, :5], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(grouped.decode(together, [META] * 2), grouped.decode(tested, [META] * 2)):
        torch.testing.assert_close(ours.boxes.tensor, theirs.boxes.tensor, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(grouped.confidence(together, GRID), grouped.confidence(tested, GRID))


def test_options_of_other_heads_are_named(head):
    with pytest.raises(ValueError, match=r"has nothing to suppress: leave out \['nms'\]"):
        head.decode(predictions_of(), [META] * 2, nms=dict(nms_thr=0.2))


def test_it_starts_with_low_scores(head):
    """Class biases are -ln 99."""
    assert all(torch.all(branch[-1].bias == -math.log(99)) for branch in head.cls_branches)
    assert head.predict(torch.randn(1, 16, 8, 8)).logits.sigmoid().mean() < 0.05


def test_names_follow_published_checkpoints():
    """The names of one layer below ``pts_bbox_head.`` of a published student, encoder aside."""
    layer = 'transformer.decoder.layers.0.'
    expected = {
        *('query_embedding.weight', 'transformer.reference_points.weight', 'transformer.reference_points.bias'),
        *(f'{layer}attentions.0.attn.{name}' for name in ('in_proj_weight', 'in_proj_bias')),
        *(f'{layer}attentions.0.attn.out_proj.{kind}' for kind in ('weight', 'bias')),
        *(
            f'{layer}attentions.1.{name}.{kind}'
            for name in ('sampling_offsets', 'attention_weights', 'value_proj', 'output_proj')
            for kind in ('weight', 'bias')
        ),
        *(f'{layer}ffns.0.layers.{name}.{kind}' for name in ('0.0', '1') for kind in ('weight', 'bias')),
        *(f'{layer}norms.{index}.{kind}' for index in range(3) for kind in ('weight', 'bias')),
        *(f'cls_branches.0.{index}.{kind}' for index in (0, 1, 3, 4, 6) for kind in ('weight', 'bias')),
        *(f'reg_branches.0.{index}.{kind}' for index in (0, 2, 4) for kind in ('weight', 'bias')),
    }
    ours = set(build_query_head(num_layers=1).state_dict())
    assert ours == expected


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(num_query=1), 'max_num is 12, but 1 queries of 10 classes give 10 scores: lower it'),
        (dict(code_weights=[1.0] * 8), 'code_weights of DETRBEVHead needs 10 numbers'),
        (dict(train_cfg=dict(assigner=None, pts=1)), r"train_cfg of DETRBEVHead takes assigner, got \['assigner', 'p"),
        (dict(test_cfg=dict(nms_thr=0.2)), r"test_cfg of DETRBEVHead takes nothing, .* got \['nms_thr'\]"),
        (dict(in_channels=18), '18 channels cannot have 4 attention heads'),
        (dict(transformer=dict(type='QueryTransformer', embed_dims=8)), 'embed_dims come from in_channels'),
    ],
)
def test_settings_that_cannot_be_are_named(changes, message):
    cfg = query_head_cfg()
    cfg['bbox_coder']['max_num'] = 12
    with pytest.raises(ValueError, match=message):
        build_head(dict(cfg, **changes))


def test_the_config_is_left_as_it_is_and_the_head_answers_for_itself(head):
    cfg = query_head_cfg()
    before = copy.deepcopy(cfg)
    untrained = build_head(dict(cfg, train_cfg=None))
    assert cfg == before
    assert isinstance(head, BEVHead) and head.classes == CLASSES and head.tasks == [CLASSES]
    assert head.can_train and not untrained.can_train
    assert head.meaning() == dict(box_range=list(TOY_RANGE))
    with pytest.raises(ValueError, match='without train_cfg'):
        untrained.loss(predictions_of(), *zip(random_boxes(1), random_boxes(1)), [META] * 2)


def test_a_map_that_it_cannot_read_is_named(head):
    head.check_input(level(16, 8, 8))
    with pytest.raises(ValueError, match='takes 16 channels but the BEV map is 24@8x8'):
        head.check_input(level(24, 8, 8))
    with pytest.raises(ValueError, match=r'pc_range is .* m, the BEV map covers .* make x and y the same'):
        head.check_input(level(16, 8, 8, extent=(-25.6, -12.8, -5.0, 12.8, 12.8, 3.0)))
