"""Two processes: over gloo on the CPU, or over NCCL on two GPUs."""

import random
import socket

import pytest
import torch
import torch.multiprocessing as mp

TWO_GPUS = pytest.mark.skipif(torch.cuda.device_count() < 2, reason='needs two CUDA devices')
BACKENDS = ['gloo', pytest.param('nccl', marks=[pytest.mark.gpu, TWO_GPUS])]


def free_port():
    """A TCP port at which a group of processes may meet a while later.

    It is none of those that the system hands out to whoever asks for any, or another program might get it meanwhile.
    """
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:  # somebody listens there
                continue
        return port


def spawn_two(worker, args, backend):
    """Run ``worker(rank, *args)`` in two processes; those of gloo see no GPU, as one is too few for NCCL."""
    with pytest.MonkeyPatch.context() as patch:
        if backend == 'gloo':
            patch.setenv('CUDA_VISIBLE_DEVICES', '')
        mp.spawn(worker, args=args, nprocs=2)
