"""Which implementation of sparse convolution runs: compiled C++ on CPUs, mmcv's kernels on GPUs, else plain torch."""

import os

from ..backend import ENVIRONMENT_VARIABLE, select_backend


def select_sparse_backend(device_type: str) -> str:
    """'cpp', 'mmcv' or 'reference' for tensors of a device type; :func:`select_backend` says what is refused."""
    if device_type == 'cuda':
        return 'reference' if os.environ.get(ENVIRONMENT_VARIABLE) == 'reference' else 'mmcv'
    return 'cpp' if select_backend(device_type) == 'cpp' else 'reference'
