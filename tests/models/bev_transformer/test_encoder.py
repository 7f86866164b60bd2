import math

import pytest
import torch
from helpers.bevformer import make_queue, one_sample, toy_encoder_cfg
from mmcv import ConfigDict
from mmdet3d.models.builder import build_neck

from mmdet3d_plugin.models.bev_transformer.pillar_projection import frame_projection
from mmdet3d_plugin.models.bev_transformer.previous_map import Motion

IMAGE_SIZE = (32, 64)
SHAPES = [(4, 8), (2, 4)]


def _build(trained=True, **overrides):
    encoder = build_neck(ConfigDict(toy_encoder_cfg(**overrides)))
    encoder.init_weights()
    if trained:
        for parameter in encoder.layers.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return encoder.eval()


def _inputs(batch_size=3):
    """Batch of queues, image features and previous maps; the second sample has no predecessor."""
    batch = make_queue(batch_size, num_frames=2)
    batch['features'] = [torch.randn(batch_size, 2, 16, *shape) for shape in SHAPES]
    batch['previous'] = torch.randn(batch_size, 16, 16, 16)
    batch['has_prev'][1, 0] = 0
    return batch


def _encode(encoder, batch):
    pairs = encoder.find_visible(frame_projection(batch, 0), IMAGE_SIZE)
    can_bus = batch['can_bus'][:, 0]
    motion = Motion(batch['frame2cur'][:, 1], can_bus, batch['bev_aug'])
    previous = encoder.align(batch['previous'], batch['has_prev'][:, 0].bool(), motion)
    return encoder(batch['features'], pairs, can_bus, previous)


@pytest.mark.parametrize('alignment', ['warp', 'released'])
def test_a_batch_equals_its_samples_alone(alignment):
    """Three samples with other calibrations, image and BEV augmentations and motions, one of them without history."""
    encoder, batch = _build(alignment=alignment), _inputs()
    with torch.no_grad():
        together = _encode(encoder, batch)
        singles = []
        for sample in range(3):
            single = one_sample({key: value for key, value in batch.items() if key != 'features'}, sample)
            single['features'] = [level[sample : sample + 1] for level in batch['features']]
            singles.append(_encode(encoder, single)[-1])
        no_history = _encode(encoder, dict(batch, has_prev=torch.zeros_like(batch['has_prev'])))[-1]
    assert [tuple(bev.shape) for bev in together] == [(3, 16, 16, 16)] * 2
    torch.testing.assert_close(together[-1], torch.cat(singles), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together[-1][1], no_history[1], atol=1e-5, rtol=1e-4)
    assert (together[-1][0] - no_history[0]).abs().max() > 0.05
    assert (together[-1][0] - together[-1][2]).abs().max() > 0.5


def test_no_previous_map_equals_nobody_having_one():
    encoder, batch = _build(), _inputs()
    batch['has_prev'].zero_()
    pairs = encoder.find_visible(frame_projection(batch, 0), IMAGE_SIZE)
    with torch.no_grad():
        alone = encoder(batch['features'], pairs, batch['can_bus'][:, 0])[-1]
        torch.testing.assert_close(_encode(encoder, batch)[-1], alone, atol=1e-6, rtol=1e-5)


def test_shifting_both_references_is_the_other_model():
    """With 'released' alone the current map is read where it is; unmoved, both are the same."""
    batch = _inputs()
    one, both = (_build(False, alignment='released', shift_both=shift) for shift in (False, True))
    both.load_state_dict(one.state_dict())
    with torch.no_grad():
        difference = (_encode(one, batch)[-1] - _encode(both, batch)[-1]).abs().amax((1, 2, 3))
        assert difference[0] > 0.01 and difference[1] < 1e-5
        batch['can_bus'].zero_()
        torch.testing.assert_close(_encode(one, batch)[-1], _encode(both, batch)[-1])


def test_the_position_map_holds_columns_then_rows():
    encoder = _build()
    encoding = encoder.positional_encoding(torch.zeros(1, 16, 16))[0, :, 3, 5]
    columns, rows = encoder.positional_encoding.col_embed.weight, encoder.positional_encoding.row_embed.weight
    assert torch.equal(encoding, torch.cat([columns[5], rows[3]]))


def test_the_motion_vector_moves_every_query_alike_and_can_be_left_out():
    encoder, batch = _build(num_layers=1), _inputs()
    queries = []
    encoder.layers[0].register_forward_pre_hook(lambda _, inputs: queries.append(inputs[0]))
    with torch.no_grad():
        _encode(encoder, batch)
    added = queries[0] - encoder.bev_embedding.weight
    torch.testing.assert_close(added, added[:, :1].expand_as(added), atol=1e-5, rtol=1e-4)
    assert (added[0] - added[2]).abs().max() > 1e-3
    without = _build(use_can_bus=False)
    assert not without.reads_can_bus and not [name for name in without.state_dict() if 'can_bus' in name]
    pairs = without.find_visible(frame_projection(batch, 0), IMAGE_SIZE)
    assert without(batch['features'], pairs)[-1].isfinite().all()
    assert _build(use_can_bus=False, alignment='released').reads_can_bus


def test_recomputed_activations_give_the_same_gradients():
    batch, gradients = _inputs(), []
    for with_cp in (False, True):
        torch.manual_seed(0)
        encoder = _build(with_cp=with_cp, dropout=0.0).train()
        _encode(encoder, batch)[-1].square().sum().backward()
        gradients.append({name: parameter.grad for name, parameter in encoder.named_parameters()})
    for name, expected in gradients[0].items():
        assert expected is not None, name
        torch.testing.assert_close(gradients[1][name], expected, msg=name)


def test_autocast_keeps_geometry_and_motion_exact():
    """Half precision rounds features, not places: a degree of 180 or a metre of 50 would move cells."""
    encoder, batch = _build(), _inputs()
    with torch.no_grad():
        expected = _encode(encoder, batch)[-1]
        with torch.autocast('cpu', torch.bfloat16):
            found = _encode(encoder, batch)[-1]
    assert found.dtype == torch.float32
    assert (found - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_initial_weights():
    encoder = _build(trained=False, embed_dims=64)
    for weight in (
        encoder.bev_embedding.weight,
        encoder.positional_encoding.row_embed.weight,
        encoder.positional_encoding.col_embed.weight,
        torch.cat([encoder.level_embeds, encoder.cams_embeds]),
    ):
        assert abs(weight.std().item() - 1) < 0.15
    for linear in (
        encoder.can_bus_mlp[0],
        encoder.layers[1].ffns[0].layers[1],
        encoder.layers[0].attentions[1].output_proj,
    ):
        bound = math.sqrt(6 / sum(linear.weight.shape))
        assert 0.9 * bound < linear.weight.abs().max() <= bound
    assert encoder.can_bus_mlp[0].bias.abs().max() > 0.5 / math.sqrt(18)
    for layer in encoder.layers:
        temporal, spatial = layer.attentions
        assert not temporal.sampling_offsets.weight.any() and temporal.sampling_offsets.bias.any()
        assert not spatial.deformable_attention.attention_weights.weight.any()
        assert not temporal.output_proj.bias.any() and not spatial.output_proj.bias.any()


def test_parameters_are_called_as_published():
    """Names below ``pts_bbox_head.transformer.encoder`` and beside it, with the sizes of the published R50 model."""
    encoder = build_neck(dict(type='BEVFormerEncoder', point_cloud_range=(-51.2, -51.2, -5, 51.2, 51.2, 3)))
    shapes = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    linear = {
        'attentions.0.sampling_offsets': (128, 512),
        'attentions.0.attention_weights': (64, 512),
        'attentions.0.value_proj': (256, 256),
        'attentions.0.output_proj': (256, 256),
        'attentions.1.deformable_attention.sampling_offsets': (512, 256),
        'attentions.1.deformable_attention.attention_weights': (256, 256),
        'attentions.1.deformable_attention.value_proj': (256, 256),
        'attentions.1.output_proj': (256, 256),
        'ffns.0.layers.0.0': (512, 256),
        'ffns.0.layers.1': (256, 512),
    }
    linear = {f'layers.{layer}.{name}': shape for layer in range(6) for name, shape in linear.items()}
    linear.update({'can_bus_mlp.0': (128, 18), 'can_bus_mlp.2': (256, 128)})
    norms = [f'layers.{layer}.norms.{norm}' for layer in range(6) for norm in range(3)] + ['can_bus_mlp.norm']
    expected = {
        'bev_embedding.weight': (40000, 256),
        'positional_encoding.row_embed.weight': (200, 128),
        'positional_encoding.col_embed.weight': (200, 128),
        'level_embeds': (4, 256),
        'cams_embeds': (6, 256),
        **{f'{name}.weight': shape for name, shape in linear.items()},
        **{f'{name}.bias': shape[:1] for name, shape in linear.items()},
        **{f'{name}.{part}': (256,) for name in norms for part in ('weight', 'bias')},
    }
    assert shapes == expected


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(num_heads=3), 'embed_dims=16 must be even and a multiple of num_heads=3'),
        (dict(spatial_points=5), 'spatial_points=5 must be a multiple of pillar_points=2'),
        (dict(alignment='nearest'), r"alignment must be one of \['released', 'warp'\], got 'nearest'"),
        (dict(shift_both=True), "shift_both=True goes with alignment='released'"),
        (dict(num_layers=0), 'at least one layer'),
    ],
)
def test_numbers_that_do_not_fit_are_one_clear_error(changes, message):
    with pytest.raises(ValueError, match=message):
        _build(**changes)


def test_features_that_do_not_fit_are_one_clear_error():
    encoder, batch = _build(), _inputs()
    batch['features'] = batch['features'][:1]
    with pytest.raises(ValueError, match=r'built for 2 level\(s\), 2 camera\(s\) and 16 channels .* fed 1, 2 and 16'):
        _encode(encoder, batch)
