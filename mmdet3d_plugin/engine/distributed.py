"""Processes and devices: CUDA with NCCL where there is a GPU, CPU with gloo where there is none."""

import os

import torch
import torch.distributed as dist
from mmcv.parallel import MMDataParallel, MMDistributedDataParallel
from mmcv.parallel.scatter_gather import scatter_kwargs
from mmcv.runner import init_dist

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmcv's distributed wrapper for CPU tensors.

    mmcv unpacks data containers only while it copies them to a GPU; without one they would reach the model packed.
    """

    def train_step(self, *inputs, **kwargs):
        """Unpack the data containers, then one distributed ``train_step`` of the wrapped detector."""
        inputs, kwargs = scatter_kwargs(inputs, kwargs, [-1], dim=self.dim)
        return super().train_step(*inputs[0], **kwargs[0])

    def forward(self, *inputs, **kwargs):
        """Unpack the data containers, then forward."""
        inputs, kwargs = scatter_kwargs(inputs, kwargs, [-1], dim=self.dim)
        return super().forward(*inputs[0], **kwargs[0])


def pick_device():
    """Name of the device kind to run on: 'cuda' when there is one, else 'cpu'."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def init_distributed(launcher, dist_params):
    """Join the process group that the launcher prepared.

    Args:
        launcher (str): One of :data:`LAUNCHERS`; 'none' starts nothing.
        dist_params (dict): Arguments of :func:`mmcv.runner.init_dist`; its backend is replaced by gloo without a GPU.

    Returns:
        bool: True when there are several processes to talk to (or torchrun with one).

    Raises:
        ValueError: A launcher other than torchrun is used without a GPU, or torchrun's variables are absent.
    """
    if launcher == 'none':
        return False
    if pick_device() == 'cuda':
        init_dist(launcher, **dist_params)
        return True
    if launcher != 'pytorch':
        raise ValueError(f'launcher {launcher!r} needs a GPU; start CPU processes with torchrun and --launcher pytorch')
    if 'RANK' not in os.environ:
        raise ValueError('--launcher pytorch expects to be started by torchrun (see tools/dist_train.sh)')
    dist.init_process_group(backend='gloo')
    return True


def wrap_model(model, device, distributed, find_unused_parameters=False):
    """Put a detector on its device inside the mmcv wrapper that unpacks data containers.

    Args:
        model (nn.Module): Detector with ``train_step`` and ``forward(return_loss=...)``.
        device (str): 'cuda' or 'cpu'.
        distributed (bool): Average gradients over the process group.
        find_unused_parameters (bool): As in torch's DistributedDataParallel.

    Returns:
        nn.Module: The wrapped detector; the detector itself is its ``module``.
    """
    if device == 'cuda':
        model = model.cuda()
    if not distributed:
        return MMDataParallel(model, device_ids=[torch.cuda.current_device()] if device == 'cuda' else None)
    options = dict(broadcast_buffers=False, find_unused_parameters=find_unused_parameters)
    if device == 'cuda':
        return MMDistributedDataParallel(model, device_ids=[torch.cuda.current_device()], **options)
    return CPUDistributedDataParallel(model, **options)
