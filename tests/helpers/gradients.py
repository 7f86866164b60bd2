"""Gradients of one training step, in this process or in several: a module of its own so that spawn can import it."""

import copy
import os

import torch
import torch.distributed as dist

import mmdet3d_plugin  # noqa: F401  (a spawned process imports this file first, and mmdet3d must come second)

# isort: split
from mmdet3d.models import build_detector
from torch.nn.modules.batchnorm import _BatchNorm

from mmdet3d_plugin.engine.distributed import init_distributed, wrap_model


def build(model_cfg):
    """The detector in training mode with frozen normalisation statistics, the same in every process."""
    torch.manual_seed(0)
    model = build_detector(copy.deepcopy(model_cfg))
    model.init_weights()
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    return model


def step_gradients(wrapped, batch):
    """Gradient of every trained parameter after one ``train_step`` and backward pass, float32 on the CPU."""
    torch.manual_seed(1)
    wrapped.train_step(batch, None)['loss'].backward()
    return {name: p.grad.cpu().clone() for name, p in wrapped.module.named_parameters() if p.grad is not None}


def gradients_worker(rank, world_size, port, device, model_cfg, batches, out_dir):
    """Process ``rank`` takes ``batches[rank]`` and saves the averaged gradients; 'cuda' talks over NCCL."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    os.environ['LOCAL_RANK'] = str(rank)
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    init_distributed('pytorch', dict(backend='nccl'))
    try:
        wrapped = wrap_model(build(model_cfg), device, distributed=True)
        torch.save(step_gradients(wrapped, batches[rank]), os.path.join(out_dir, f'rank{rank}.pth'))
    finally:
        dist.destroy_process_group()
