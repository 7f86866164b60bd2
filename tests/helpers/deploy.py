"""Exports of toy students, without files of weights and of data."""

import torch
from mmcv import Config
from mmdet3d.models import build_model
from torch import nn

from helpers.bevformer import CAMERAS, toy_bevformer_cfg
from helpers.toy_models import toy_bevdepth_cfg
from mmdet3d_plugin.datasets.pipelines.presets import bevformer_pipelines, camera_4d_pipelines
from mmdet3d_plugin.models.initial_weights import initialise

CLASSES = ['car', 'truck', 'construction_vehicle', 'bus', 'trailer', 'barrier', 'motorcycle', 'bicycle', 'pedestrian',
           'traffic_cone']  # fmt: skip
RANGE = [-12.8, -12.8, -5.0, 12.8, 12.8, 3.0]
CAMERA_SIZE = (90, 160)


def lively(model, seed=0):
    """The model in evaluation mode with weights and statistics such that every part of it shows in the outputs."""
    initialise(model)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if name.endswith('running_var') or (name.endswith('weight') and tensor.dim() == 1):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(('running_mean', 'bias')) or 'offset' in name:
            tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=0.1)
    return model.eval()


def bevdepth(velocities=True, **options):
    """(whole config, detector) of a toy BEVDepth4D with six cameras and a deformable depth net."""
    model = toy_bevdepth_cfg(image_size=(32, 64), **options)
    if not velocities:
        del model['pts_bbox_head']['common_heads']['vel']
        model['train_cfg']['pts']['code_weights'] = [1.0] * 8
    sizes = dict(class_names=CLASSES, point_cloud_range=RANGE, final_dim=(32, 64), depth_bounds=(1.0, 17.0, 1.0))
    return _config(model, camera_4d_pipelines(**sizes, image_aug=dict(test_resize=0.02))[1])


def bevformer(alignment='warp', head=None, **options):
    """(whole config, detector) of a toy BEVFormer with two cameras, with its query head unless another is given."""
    encoder = dict(alignment=alignment, shift_both=alignment == 'released')
    model = toy_bevformer_cfg(encoder, pts_bbox_head=head or query_head(), motion_source='poses', **options)
    if head is None:
        model.pop('train_cfg'), model.pop('test_cfg')
    steps = dict(motion=dict(motion_source='poses'), cameras=CAMERAS)
    return _config(model, bevformer_pipelines(class_names=CLASSES, point_cloud_range=RANGE, **steps)[1])


def query_head():
    """DETR head config for 16 channels: 20 queries, 2 layers."""
    return dict(
        type='DETRBEVHead',
        in_channels=16,
        class_names=CLASSES,
        num_query=20,
        transformer=dict(type='QueryTransformer', num_layers=2, num_heads=2, num_points=2, feedforward_channels=24),
        bbox_coder=dict(type='QueryBoxCoder', pc_range=RANGE, post_center_range=[-14, -14, -9, 14, 14, 9], max_num=30),
    )


def _config(model, pipeline):
    data = dict(pipeline=pipeline, ann_file='nowhere.pkl', data_root='', modality=dict(use_camera=True))
    detector = build_model(Config(dict(model=model)).model)
    return Config(dict(model=model, data=dict(test=data))), lively(detector)


class Unknown(nn.Module):
    """A layer that no ONNX operator stands for."""

    def forward(self, x):
        """The input, times one that only torch can compute."""
        return x * torch.special.bessel_j0(torch.zeros_like(x))


@torch.no_grad()
def settled(model, batch):
    """The model in evaluation mode, with the statistics that a batch has, and deformable layers that do look around."""
    norms = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for name, part in model.named_modules():
        if name.endswith('conv_offset'):
            nn.init.normal_(part.weight, std=1e-3)
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.2, 0.8)  # residual branches, which begin at zero, take part
    model.eval()
    for norm in norms:
        norm.train()
    model.extract_bev(batch)
    for norm in norms:
        if isinstance(
            norm, nn.BatchNorm1d
        ):  # of camera numbers, which are all alike here: torch itself would lose digits
            norm.running_var.clamp_(min=1.0)
    return model.eval()
