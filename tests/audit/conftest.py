"""A toy teacher whose checkpoint looks trained: what an audit must find nothing wrong with."""

import logging

import pytest
import torch
from helpers.toy_models import toy_centerpoint_cfg
from mmcv import Config
from mmdet3d.models import build_detector
from torch import nn

from mmdet3d_plugin.checkpoints.told_by_weights import TYPICAL_SIZE

CLASSES = [
    *('car', 'truck', 'construction_vehicle', 'bus', 'trailer'),
    *('barrier', 'motorcycle', 'bicycle', 'pedestrian', 'traffic_cone'),
]


def make_trained(model, seed=0):
    """Move norm layers off their initial values and let size outputs give each task's typical logarithmic size."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor, centre in ((module.weight, 1.0), (module.bias, 0.0), (module.running_mean, 0.0)):
                tensor.data = centre + 0.1 * torch.randn(tensor.shape, generator=generator)
            module.running_var = 0.5 + torch.rand(module.running_var.shape, generator=generator)
    head = model.pts_bbox_head
    for names, task_head in zip(head.class_names, head.task_heads):
        sizes = torch.tensor([TYPICAL_SIZE[name] for name in names]).log()
        nn.init.zeros_(task_head.dim[-1].weight)
        task_head.dim[-1].bias.data = sizes.mean(dim=0)
    return model


class TeacherFiles:
    """Config file of a toy CenterPoint, and checkpoints written from a trained one after an edit."""

    def __init__(self, folder, **options):
        logging.getLogger('mmcv').setLevel(logging.WARNING)
        self.folder = folder
        self.cfg = Config(dict(model=toy_centerpoint_cfg(**options)))
        self.config = str(folder / 'teacher.py')
        self.cfg.dump(self.config)
        self.meta = dict(epoch=20, mmdet3d_version='1.0.0rc6', CLASSES=CLASSES, config=self.cfg.pretty_text)

    def build(self):
        torch.manual_seed(0)
        return build_detector(self.cfg.copy().model)

    def write(self, edit=None, meta=None, trained=True, name='teacher.pth'):
        model = make_trained(self.build()) if trained else self.build()
        state = {key: value.clone() for key, value in model.state_dict().items()}
        if edit is not None:
            edit(state)
        path = str(self.folder / name)
        torch.save(dict(state_dict=state, meta=self.meta if meta is None else meta), path)
        return path


@pytest.fixture
def teacher(tmp_path):
    return TeacherFiles(tmp_path)


@pytest.fixture
def make_teacher(tmp_path_factory):
    """Another toy teacher, with options of :func:`helpers.toy_models.toy_centerpoint_cfg`."""
    return lambda **options: TeacherFiles(tmp_path_factory.mktemp('teacher'), **options)
