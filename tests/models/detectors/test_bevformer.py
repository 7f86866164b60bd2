import copy

import pytest
import torch
from helpers.bevformer import make_queue, one_sample, split_queue, toy_bevformer_cfg
from mmcv import ConfigDict
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models import build_model

from mmdet3d_plugin.checkpoints.output_meaning import checkpoint_meta, stored_facts
from mmdet3d_plugin.models.grid_mask import GridMask


def _build(trained=True, **kwargs):
    """A model whose attentions look at different places, as trained ones do."""
    model = build_model(ConfigDict(toy_bevformer_cfg(**kwargs)))
    model.init_weights()
    if trained:
        for parameter in model.bev_encoder.layers.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def _total(losses):
    return sum(losses.values())


def test_planned_levels_are_the_real_shapes():
    model = _build(encoder_levels=(1, 0))
    bev = model.extract_bev(make_queue())
    assert list(model.bev_levels()) == list(bev.levels) == ['encoder1', 'encoder0', 'bev']
    for name, level in model.bev_levels().items():
        assert tuple(bev.level(name).shape) == (2, *level.shape) == (2, 16, 16, 16), name
    assert torch.equal(bev.level('encoder1'), bev.head_map) and not torch.equal(bev.level('encoder0'), bev.head_map)


def test_the_shared_part_is_the_last_layer_that_every_level_goes_through():
    model = _build()
    assert model.shared_module is model.bev_encoder.layers[1]
    model = _build(encoder_levels=(1, 0))
    assert model.shared_module is model.bev_encoder.layers[0]


def test_building_leaves_the_config_alone():
    cfg = ConfigDict(toy_bevformer_cfg(grid_mask=dict(prob=0.7)))
    before = copy.deepcopy(cfg)
    build_model(cfg)
    assert cfg == before


@pytest.mark.parametrize('num_frames', [1, 3])
def test_losses_are_finite_and_reach_every_parameter(num_frames):
    model, batch = _build(), make_queue(num_frames=num_frames)
    losses = model(return_loss=True, **batch)
    assert set(losses) == {f'task{i}.loss_{kind}' for i in range(6) for kind in ('heatmap', 'bbox')}
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())
    _total(losses).backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert model.img_backbone.conv1.weight.grad.abs().sum() > 0


def test_a_few_steps_reduce_the_loss():
    model, batch = _build(trained=False, grid_mask=dict(prob=0.7)), make_queue()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    totals = []
    for _ in range(6):
        total = _total(model(return_loss=True, **batch))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.8 * totals[0]


def test_samples_without_boxes():
    batch = make_queue()
    batch['gt_bboxes_3d'][0], batch['gt_labels_3d'][0] = batch['gt_bboxes_3d'][0][:0], batch['gt_labels_3d'][0][:0]
    assert _total(_build()(return_loss=True, **batch)).isfinite()


def test_only_the_current_frame_carries_gradients():
    model, batch = _build(), make_queue()
    batch['img'].requires_grad_()
    _total(model(return_loss=True, **batch)).backward()
    assert batch['img'].grad[:, 0].any() and not batch['img'].grad[:, 1:].any()


def test_history_is_read_and_runs_in_evaluation_mode():
    model, batch = _build(), make_queue()
    modes, sizes = [], []
    model.img_backbone.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    for part in (model.img_backbone.bn1, model.bev_encoder.layers[0].attentions[0].dropout):
        part.register_forward_pre_hook(lambda module, _: modes.append((module.training, torch.is_grad_enabled())))
    model.extract_bev(batch)
    history, current = (False, False), (True, True)
    assert modes == [history] * 3 + [current] * 2  # images in one batch, then frame by frame
    assert sizes == [2 * 2 * 2, 2 * 2]
    assert model.img_backbone.bn1.num_batches_tracked == 1
    assert all(part.training for part in model.modules())
    model.eval()
    before = model.extract_bev(batch).head_map
    for frame in (1, 2):
        changed = dict(batch, img=batch['img'].clone())
        changed['img'][:, frame] += 1
        assert (model.extract_bev(changed).head_map - before).abs().max() > 1e-4


def test_autocast_keeps_no_weights_of_the_history():
    """Whatever copy of a weight the pass without gradients makes, the current frame must not be given it."""
    model, batch = _build(), make_queue()
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.forward_train(**batch)
        assert torch.is_autocast_cache_enabled()
    _total(losses).backward()
    for weight in (model.img_backbone.conv1.weight, model.bev_encoder.layers[0].attentions[0].value_proj.weight):
        assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize('encoder', [dict(), dict(alignment='released', shift_both=True)])
def test_a_batch_equals_its_samples_alone(encoder):
    model, batch = _build(encoder=encoder).eval(), make_queue(batch_size=3)
    batch['has_prev'][1, 0] = 0
    batch['has_prev'][2, 1] = 0
    with torch.no_grad():
        together = model.extract_bev(batch).head_map
        alone = torch.cat([model.extract_bev(one_sample(batch, sample)).head_map for sample in range(3)])
        fresh = model.extract_bev({**one_sample(batch, 1), 'img': batch['img'][1:2, :1]}).head_map
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together[1:2], fresh, atol=1e-5, rtol=1e-4)


def test_the_mask_hides_parts_of_the_current_images_alone():
    model, batch = _build(grid_mask=dict(prob=1.0)), make_queue()
    seen = []
    model.img_backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    assert isinstance(model.grid_mask, GridMask)
    model.extract_bev(batch)
    assert torch.equal(seen[0], batch['img'][:, 1:].flatten(0, 2))
    hidden = seen[1] == 0
    assert hidden.any() and torch.equal(seen[1][~hidden], batch['img'][:, 0].flatten(0, 1)[~hidden])
    model.eval()
    model.extract_bev(batch)
    assert torch.equal(seen[3], batch['img'][:, 0].flatten(0, 1))


def _test_maps(model, frames):
    """Head maps of frames tested one after the other."""
    maps = []
    handle = model.bev_encoder.register_forward_hook(lambda *call: maps.append(call[-1][-1]))
    with torch.no_grad():
        for frame in frames:
            (result,) = model(return_loss=False, **frame)
            assert isinstance(result['pts_bbox']['boxes_3d'], LiDARInstance3DBoxes)
    handle.remove()
    return maps


@pytest.mark.parametrize('encoder', [dict(), dict(alignment='released'), dict(use_can_bus=False)])
def test_testing_in_order_equals_the_queue(encoder):
    """Frame by frame with the memory, the last map is that of the whole queue at once; the batch is left as it was."""
    model, batch = _build(encoder=encoder).eval(), make_queue(num_frames=4)
    frames = split_queue(batch, 1)
    if not model.bev_encoder.reads_can_bus:
        del batch['can_bus']
        for frame in frames:
            del frame['can_bus']
    kept = copy.deepcopy(frames)
    maps = _test_maps(model, frames)
    with torch.no_grad():
        queue = model.extract_bev(one_sample(batch, 1)).head_map
    torch.testing.assert_close(maps[-1], queue, atol=1e-3, rtol=1e-3)
    assert (maps[0] - maps[-1]).abs().max() > 0.1
    for frame, before in zip(frames, kept):
        assert all(torch.equal(frame[key], before[key]) for key in frame if key != 'img_metas')


def test_memory_starts_anew_when_reset_and_with_a_scene():
    model, frames = _build().eval(), split_queue(make_queue(num_frames=2), 0)
    alone, following = _test_maps(model, frames)
    model.reset()
    assert torch.equal(_test_maps(model, frames[:1])[0], alone)
    other = dict(frames[1], img_metas=[dict(frames[1]['img_metas'][0], scene_token='other')])
    fresh = _test_maps(model, [other])[0]
    assert (fresh - following).abs().max() > 1e-3
    model.reset()
    torch.testing.assert_close(_test_maps(model, frames[1:])[0], fresh)


def test_memory_is_neither_in_checkpoints_nor_in_what_extract_bev_returns():
    model, batch = _build().eval(), make_queue(num_frames=1)
    keys = set(model.state_dict())
    _test_maps(model, split_queue(make_queue(num_frames=2), 0))
    assert set(model.state_dict()) == keys
    with torch.no_grad():
        first, second = (model.extract_bev(batch) for _ in range(2))
    assert torch.equal(first.head_map, second.head_map) and not first.private
    assert model.sequential


def test_without_history_every_frame_stands_alone():
    """The same weights see each frame as a remembering model sees the first of a scene, in any order and number."""
    model, frames = _build().eval(), split_queue(make_queue(num_frames=3), 0)
    alone = _build(history=False).eval()
    alone.load_state_dict(model.state_dict())
    assert not alone.sequential
    for frame in frames:  # as LoadEgoMotion writes it for a queue of one
        frame['can_bus'][..., [*range(3), 17]] = 0
    maps = _test_maps(alone, frames)
    for frame, bev in zip(frames, maps):
        model.reset()
        torch.testing.assert_close(_test_maps(model, [frame])[0], bev)
    torch.testing.assert_close(_test_maps(alone, frames[::-1])[::-1], maps)
    with torch.no_grad():
        assert len(alone(return_loss=False, **make_queue(num_frames=1))) == 2
    with pytest.raises(ValueError, match='history=False looks at one frame, but .* holds 3: set queue_length=1'):
        alone(return_loss=True, **make_queue(num_frames=3))
    assert alone.meaning()['history'] == 'none' and model.meaning()['history'] == 'the frame before'
    assert alone.pipeline_settings()['SelectKeyframeQueue', 'queue_length'] == 1


def test_two_samples_at_test_are_refused_but_queues_are_not():
    model, batch = _build().eval(), make_queue(num_frames=1)
    with pytest.raises(ValueError, match='remembers one scene, but the batch holds 2 samples.*samples_per_gpu=1'):
        model(return_loss=False, **batch)
    with torch.no_grad():
        assert len(model(return_loss=False, **make_queue(num_frames=2))) == 2


def test_what_no_weight_shows_is_told():
    model = _build()
    facts = model.meaning()
    assert stored_facts(checkpoint_meta(model)) == facts
    assert facts['point_cloud_range'] == [-12.8, -12.8, -5.0, 12.8, 12.8, 3.0]
    told = {key: facts[key] for key in ('cameras', 'alignment', 'motion_source', 'image_norm')}
    motion = 'can, quaternion full, yaw wrapped'
    norm = 'BGR, mean 103.53, 116.28, 123.675, std 1, 1, 1'
    assert told == dict(cameras='CAM_FRONT, CAM_BACK', alignment='warp', motion_source=motion, image_norm=norm)
    assert facts['bev_cell'] == pytest.approx([1.6, 1.6])
    motion = dict(wrap_yaw=False, motion_source='poses', quaternion='w')
    released = _build(encoder=dict(alignment='released', shift_both=True), **motion)
    assert released.meaning()['alignment'] == 'released, both references shifted'
    assert released.meaning()['motion_source'] == 'poses, quaternion w, yaw not wrapped'
    settings = released.pipeline_settings()
    assert {key: settings['LoadEgoMotion', key] for key in motion} == motion
    without = _build(encoder=dict(use_can_bus=False))
    assert 'motion_source' not in without.meaning()
    assert without.pipeline_settings() == {
        ('SelectKeyframeQueue', 'cameras'): ('CAM_FRONT', 'CAM_BACK'),
        ('NormalizePad', 'mean'): (103.53, 116.28, 123.675),
        ('NormalizePad', 'std'): (1.0, 1.0, 1.0),
        ('NormalizePad', 'to_rgb'): False,
    }


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(cameras=('CAM_FRONT',)), r'must name 2 cameras \(bev_encoder.num_cams\)'),
        (dict(cameras=('CAM_FRONT', 'CAM_FRONT')), 'must name 2 cameras'),
        (dict(motion_source='gps'), "motion_source must be one of .*'gps'"),
        (dict(image_norm=dict(std=(1, 1))), 'need 3 means and 3 positive stds'),
        (dict(quaternion='x'), "quaternion must be one of .*'x'"),
        (dict(encoder_levels=(2,)), 'there is no layer 2, the encoder has 2'),
        (dict(encoder=dict(num_levels=3)), r'img_neck gives 2 map\(s\) of 16 channels but bev_encoder takes 3 of 16'),
        (dict(encoder=dict(bev_size=(8, 8))), 'targets on 16x16 cells.*gives 16@8x8'),
    ],
)
def test_parts_that_do_not_fit_are_one_clear_error(changes, message):
    with pytest.raises(ValueError, match=message):
        _build(**changes)
