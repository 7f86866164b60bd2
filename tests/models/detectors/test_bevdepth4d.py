import copy

import pytest
import torch
from helpers.batch import make_batch
from helpers.toy_models import toy_bevdepth_cfg
from mmcv import ConfigDict
from mmcv.runner import load_checkpoint
from mmdet3d.core.bbox import LiDARInstance3DBoxes
from mmdet3d.models import build_model

IMAGE_SIZE = (32, 64)


def _build(num_frames=2, **overrides):
    cfg = toy_bevdepth_cfg(image_size=IMAGE_SIZE, num_frames=num_frames)
    return build_model(ConfigDict({**cfg, **overrides}))


def _batch(**kwargs):
    return make_batch(**{**dict(image_size=IMAGE_SIZE, num_cams=2), **kwargs})


def _without_deformation():
    """mmcv's deformable convolution knows no bfloat16 on a CPU."""
    return dict(toy_bevdepth_cfg(image_size=IMAGE_SIZE)['img_view_transformer'], depth_conv_cfg=None)


def _total(losses):
    return sum(value for value in losses.values())


@pytest.mark.parametrize('num_frames', [1, 2])
@pytest.mark.parametrize('y_range', [12.8, 19.2])
def test_planned_levels_are_the_real_shapes(num_frames, y_range):
    cfg = toy_bevdepth_cfg(
        range=(-12.8, -y_range, -5.0, 12.8, y_range, 3.0), image_size=IMAGE_SIZE, num_frames=num_frames
    )
    model = build_model(ConfigDict(cfg))
    bev = model.extract_bev(_batch(num_frames=num_frames))
    levels = model.bev_levels()
    assert list(levels) == ['backbone0', 'backbone1', 'backbone2', 'head']
    for name, level in levels.items():
        assert tuple(bev.level(name).shape) == (2, *level.shape), name
    assert bev.private['depth_logits'].shape == (2, 2, 16, 2, 4)
    assert model.point_cloud_range == (-12.8, -y_range, -5.0, 12.8, y_range, 3.0)


def test_building_leaves_the_config_alone():
    cfg = ConfigDict(toy_bevdepth_cfg())
    before = copy.deepcopy(cfg)
    build_model(cfg)
    assert cfg == before


def test_losses_are_named_finite_and_reach_every_parameter():
    model, batch = _build(), _batch()
    losses = model(return_loss=True, **batch)
    expected = {f'task{i}.loss_{kind}' for i in range(6) for kind in ('heatmap', 'bbox')} | {'loss_depth'}
    assert set(losses) == expected
    assert all(value.isfinite() and value.dtype == torch.float32 for value in losses.values())
    _total(losses).backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert model.img_backbone.conv1.weight.grad.abs().sum() > 0


def test_only_the_current_frame_carries_gradients():
    model, batch = _build(), _batch()
    batch['img'].requires_grad_()
    _total(model(return_loss=True, **batch)).backward()
    assert batch['img'].grad[:, 0].any()
    assert not batch['img'].grad[:, 1].any()


def test_autocast_keeps_no_weights_of_the_previous_frame():
    """Whatever copy of a weight the pass without gradients makes, the current frame must not be given it."""
    model, batch = _build(img_view_transformer=_without_deformation()), _batch()
    seen = []
    model.img_backbone.conv1.register_forward_pre_hook(
        lambda *_: seen.append((torch.is_grad_enabled(), torch.is_autocast_cache_enabled()))
    )
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.forward_train(**batch)
        assert torch.is_autocast_cache_enabled()
    assert seen == [(False, False), (True, True)]
    _total(losses).backward()
    assert model.img_backbone.conv1.weight.grad.abs().sum() > 0


def test_the_previous_frame_is_read():
    model, batch = _build().eval(), _batch()
    neck = model.extract_bev(batch).head_map
    batch['img'][:, 1] += 1.0
    assert (model.extract_bev(batch).head_map - neck).abs().max() > 1e-6


def test_both_frames_feed_batch_norm_in_training():
    model, batch = _build(), _batch()
    model.extract_bev(batch)
    assert model.img_backbone.bn1.num_batches_tracked == 2
    assert model.img_bev_encoder_backbone.layers[0][0].bn1.num_batches_tracked == 1


def test_an_unmoved_repeated_frame_gives_equal_halves():
    model, batch = _build().eval(), _batch()
    for key in ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar'):
        batch[key][:, 1] = batch[key][:, 0]
    batch['frame2cur'][:, 1] = torch.eye(4)
    joined = []
    model.img_bev_encoder_backbone.register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    model.extract_bev(batch)
    current, previous = joined[0].chunk(2, dim=1)
    torch.testing.assert_close(previous, current, atol=1e-4, rtol=1e-3)


def test_the_previous_map_is_aligned_with_the_current_one():
    """The car moved two cells forward between the frames: the previous map comes out two columns further back."""
    model, batch = _build().eval(), _batch(augment=False)
    for key in ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar'):
        batch[key][:, 1] = batch[key][:, 0]
    batch['frame2cur'][:, 1] = torch.eye(4)
    batch['frame2cur'][:, 1, 0, 3] = -2 * 1.6
    joined = []
    model.img_bev_encoder_backbone.register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    model.extract_bev(batch)
    current, previous = joined[0].chunk(2, dim=1)
    torch.testing.assert_close(previous[..., :-2], current[..., 2:], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('num_cams', [1, 5, 7])
def test_any_number_of_cameras_in_any_order(num_cams):
    model, batch = _build(), _batch(num_cams=num_cams)
    losses = model(return_loss=True, **batch)
    assert all(value.isfinite() for value in losses.values()) and losses['loss_depth'] > 0
    model.eval()
    order = torch.randperm(num_cams)
    shuffled = {
        key: batch[key][:, :, order]
        if key in ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar')
        else batch[key]
        for key in batch
    }
    with torch.no_grad():
        bev, again = model.extract_bev(batch), model.extract_bev(shuffled)
    assert bev.private['depth_logits'].shape[1] == num_cams
    torch.testing.assert_close(again.private['depth_logits'], bev.private['depth_logits'][:, order])
    torch.testing.assert_close(again.head_map, bev.head_map, rtol=1e-4, atol=1e-4)


def test_a_few_steps_reduce_the_loss():
    model, batch = _build(), _batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    totals = []
    for _ in range(6):
        total = _total(model(return_loss=True, **batch))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]


def test_samples_without_boxes():
    losses = _build()(return_loss=True, **_batch(num_boxes=[0, 3]))
    assert _total(losses).isfinite()


def test_inference_needs_neither_targets_nor_points():
    model, batch = _build().eval(), _batch()
    inputs = {
        key: batch[key] for key in ('img', 'intrins', 'post_rots', 'post_trans', 'cam2lidar', 'frame2cur', 'bev_aug')
    }
    with torch.no_grad():
        results = model(return_loss=False, img_metas=batch['img_metas'], **inputs)
    assert len(results) == 2
    boxes, scores, labels = (results[0]['pts_bbox'][key] for key in ('boxes_3d', 'scores_3d', 'labels_3d'))
    assert isinstance(boxes, LiDARInstance3DBoxes) and boxes.tensor.shape == (len(scores), 9)
    assert len(scores) == len(labels)


def test_a_distilled_checkpoint_loads_and_anything_else_is_strict(tmp_path):
    source, target = _build(), _build()
    state = source.state_dict()
    distilled = {**state, 'distill.aligners.head.weight': torch.zeros(1), 'distill.x': torch.zeros(2)}
    target.load_state_dict(distilled, strict=True)
    assert 'distill.x' in distilled
    for name, value in target.state_dict().items():
        assert torch.equal(value, state[name]), name
    torch.save(dict(state_dict=distilled, meta={}), tmp_path / 'distilled.pth')
    load_checkpoint(_build(), str(tmp_path / 'distilled.pth'), strict=True)
    with pytest.raises(RuntimeError, match='distillation.x'):
        target.load_state_dict({**state, 'distillation.x': torch.zeros(2)}, strict=True)
    state.pop('img_neck.lateral_convs.0.conv.weight')
    with pytest.raises(RuntimeError, match='img_neck.lateral_convs.0.conv.weight'):
        target.load_state_dict(state, strict=True)


def test_the_number_of_frames_is_checked():
    with pytest.raises(ValueError, match='batch holds 1 frame.*num_frames=2'):
        _build().extract_bev(_batch(num_frames=1))
    with pytest.raises(ValueError, match='1 or 2 frames, got num_frames=3'):
        _build(num_frames=3)


def test_missing_pretrained_weights_warn():
    backbone = dict(type='ResNet', depth=18, base_channels=8, out_indices=(2, 3))
    backbone['init_cfg'] = dict(type='Pretrained', checkpoint='nowhere/resnet18.pth')
    with pytest.warns(UserWarning, match='nowhere/resnet18.pth'):
        _build(img_backbone=backbone).init_weights()


def _edited(part, **changes):
    cfg = toy_bevdepth_cfg(image_size=IMAGE_SIZE)
    cfg[part] = {**cfg[part], **changes}
    return ConfigDict(cfg)


@pytest.mark.parametrize(
    'part, changes, message',
    [
        ('pts_bbox_head', dict(in_channels=17), 'head takes 17 channels but the BEV neck gives 16@16x16'),
        ('pre_process_net', dict(in_channels=9), 'takes 9 channels but is fed 8@16x16'),
        ('img_bev_encoder_backbone', dict(in_channels=8), 'takes 8 channels but is fed 16@16x16'),
        ('img_bev_encoder_neck', dict(in_channels=(16, 31)), r'\(16, 31\) channels but the backbone gives \(16, 32\)'),
        ('img_bev_encoder_neck', dict(extra_upsample=4), 'targets on 16x16 cells.*gives 16@32x32'),
        ('img_view_transformer', dict(xbound=(-6.4, 6.4, 0.8)), 'xbound and ybound'),
        ('img_view_transformer', dict(image_size=(30, 64)), 'multiple of the feature stride'),
        ('img_view_transformer', dict(depth_bins=5), 'depth_bins'),
    ],
)
def test_parts_that_do_not_fit_are_one_clear_error(part, changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build_model(_edited(part, **changes))
