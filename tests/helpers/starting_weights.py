"""``load_from`` inside one of several processes: a module of its own so that spawn can import it."""

import os

import torch
import torch.distributed as dist

import mmdet3d_plugin  # noqa: F401  (a spawned process imports this file first, and mmdet3d must come second)

# isort: split
from mmdet3d.utils import get_root_logger

from helpers.distill_fakes import build
from mmdet3d_plugin.checkpoints.starting_weights import load_to_start
from mmdet3d_plugin.engine.distributed import init_distributed, wrap_model


def load_in_process(rank, world_size, port, model_cfg, path, out_dir):
    """Process ``rank`` loads ``path`` into a wrapped model and saves its state dict."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    init_distributed('pytorch', {})
    try:
        wrapped = wrap_model(build(model_cfg, seed=9 + rank), 'cpu', distributed=True)
        load_to_start(wrapped, path, get_root_logger())
        torch.save(wrapped.module.state_dict(), os.path.join(out_dir, f'rank{rank}.pth'))
    finally:
        dist.destroy_process_group()
