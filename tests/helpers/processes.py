"""Two processes: over gloo on the CPU, or over NCCL on two GPUs."""

import pytest
import torch
import torch.multiprocessing as mp

TWO_GPUS = pytest.mark.skipif(torch.cuda.device_count() < 2, reason='needs two CUDA devices')
BACKENDS = ['gloo', pytest.param('nccl', marks=[pytest.mark.gpu, TWO_GPUS])]


def spawn_two(worker, args, backend):
    """Run ``worker(rank, *args)`` in two processes; those of gloo see no GPU, as one is too few for NCCL."""
    with pytest.MonkeyPatch.context() as patch:
        if backend == 'gloo':
            patch.setenv('CUDA_VISIBLE_DEVICES', '')
        mp.spawn(worker, args=args, nprocs=2)
