"""Processes and devices: CUDA with NCCL where there is a GPU, CPU with gloo where there is none."""

from __future__ import annotations

import functools
import numbers
import os
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from mmcv.ops import get_compiling_cuda_version
from mmcv.parallel import MMDataParallel, MMDistributedDataParallel
from mmcv.parallel.scatter_gather import scatter_kwargs
from mmcv.runner import init_dist
from torch import nn

# s; torch's own is 10 minutes with NCCL, which ends a run while the first process evaluates or writes a checkpoint
DEFAULT_TIMEOUT = 2 * 3600


class CPUDataParallel(MMDataParallel):
    """mmcv's one-process wrapper, held on the CPU: torch's would move the model to a GPU whenever it sees one."""

    def __init__(self, module: nn.Module) -> None:
        nn.Module.__init__(self)
        self.module, self.dim = module, 0
        self.device_ids: list[int] = []


class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmcv's distributed wrapper for CPU tensors.

    mmcv unpacks data containers only while it copies them to a GPU; without one they would reach the model packed.
    """

    def train_step(self, *inputs: Any, **kwargs: Any) -> dict[str, Any]:
        """Unpack the data containers, then one distributed ``train_step`` of the wrapped detector."""
        unpacked, options = scatter_kwargs(inputs, kwargs, [-1], dim=self.dim)
        return super().train_step(*unpacked[0], **options[0])

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Unpack the data containers, then forward."""
        unpacked, options = scatter_kwargs(inputs, kwargs, [-1], dim=self.dim)
        return super().forward(*unpacked[0], **options[0])


def pick_device() -> str:
    """Name of the device kind to run on: 'cuda' when torch and mmcv's operations can both use it, else 'cpu'."""
    if not torch.cuda.is_available():
        return 'cpu'
    if get_compiling_cuda_version() == 'not available':
        _warn_of_unused_gpu()
        return 'cpu'
    return 'cuda'


@functools.cache
def _warn_of_unused_gpu():
    warnings.warn(
        f'the GPU is not used: mmcv-full was compiled without CUDA operations. Install the toolkit of CUDA '
        f'{torch.version.cuda} (nvcc on PATH, or CUDA_HOME) and run scripts/setup.sh again.',
        RuntimeWarning,
        stacklevel=3,
    )


def init_distributed(launcher: str, dist_params: Mapping[str, Any]) -> bool:
    """Join the process group that the launcher prepared.

    Args:
        launcher: One of :data:`dualdistill_cli.flags.LAUNCHERS`; 'none' starts nothing.
        dist_params: Arguments of :func:`mmcv.runner.init_dist`; its backend is replaced by gloo without a GPU.
            ``timeout`` is how long a process waits for the others, in seconds; two hours unless it is given.

    Returns:
        True when there are several processes to talk to (or torchrun with one).

    Raises:
        ValueError: A launcher other than torchrun is used without a GPU, or torchrun's variables are absent; or the
            timeout is no positive number.
    """
    if launcher == 'none':
        return False
    params = dict(dist_params)
    timeout = _as_timedelta(params.pop('timeout', DEFAULT_TIMEOUT))
    if pick_device() == 'cuda' and launcher == 'slurm':  # mmcv hands no timeout on to torch for this launcher
        init_dist(launcher, **params)
        dist.distributed_c10d._set_pg_timeout(timeout)
        return True
    if pick_device() == 'cuda':
        init_dist(launcher, timeout=timeout, **params)
        return True
    if launcher != 'pytorch':
        raise ValueError(f'launcher {launcher!r} needs a GPU; start CPU processes with torchrun and --launcher pytorch')
    if 'RANK' not in os.environ:
        raise ValueError('--launcher pytorch expects to be started by torchrun (see tools/dist_train.sh)')
    dist.init_process_group(backend='gloo', timeout=timeout)
    return True


def _as_timedelta(seconds):
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real) or seconds <= 0:
        raise ValueError(f'dist_params.timeout: takes a positive number of seconds, got {seconds!r}')
    return timedelta(seconds=float(seconds))


def wrap_model(model: nn.Module, device: str, distributed: bool, find_unused_parameters: bool = False) -> nn.Module:
    """Put a detector on its device inside the mmcv wrapper that unpacks data containers.

    Args:
        model: Detector with ``train_step`` and ``forward(return_loss=...)``.
        device: 'cuda' or 'cpu'.
        distributed: Average gradients over the process group.
        find_unused_parameters: As in torch's DistributedDataParallel.

    Returns:
        The wrapped detector; the detector itself is its ``module``.
    """
    if device == 'cuda':
        model = model.cuda()
    if not distributed and device == 'cuda':
        return MMDataParallel(model, device_ids=[torch.cuda.current_device()])
    if not distributed:
        return CPUDataParallel(model)
    options = dict(broadcast_buffers=False, find_unused_parameters=find_unused_parameters)
    if device == 'cuda':
        return MMDistributedDataParallel(model, device_ids=[torch.cuda.current_device()], **options)
    return CPUDistributedDataParallel(model, **options)
