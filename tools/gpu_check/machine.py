"""The device that is checked and the versions that meet on it; needs torch and mmcv-full."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

import mmdet3d_plugin  # noqa: F401  (closes version gaps before mmcv's operators are imported)

# isort: split
from mmcv.ops import get_compiling_cuda_version


@dataclass(frozen=True)
class Machine:
    """What the verdict is about.

    Args:
        device: 'cuda' or 'cpu'.
        name: of the GPU, empty for the CPU.
        capability: of the GPU, such as '9.0'.
        num_devices: GPUs that torch sees.
        torch: its version.
        cuda: the version that torch is built for, empty without.
        mmcv_cuda: the version that mmcv-full's operators were compiled with.
    """

    device: str
    name: str
    capability: str
    num_devices: int
    torch: str
    cuda: str
    mmcv_cuda: str

    @property
    def versions(self) -> str:
        """'torch 2.13.0+cu130, CUDA 13.0'."""
        return f'torch {self.torch}, CUDA {self.cuda}' if self.device == 'cuda' else f'torch {self.torch}'


def look_at(device: str) -> Machine:
    """What there is.

    Args:
        device: 'cuda', or 'cpu' for the rehearsal.

    Raises:
        ValueError: 'cuda' is wanted, but torch or mmcv-full cannot use a GPU here; the message says why.
    """
    name = capability = ''
    if device == 'cuda':
        obstacle = why_no_gpu()
        if obstacle:
            raise ValueError(f'no GPU can be checked: {obstacle}, or rehearse on the CPU with --device cpu')
        name = torch.cuda.get_device_name()
        capability = '.'.join(map(str, torch.cuda.get_device_capability()))
    versions = (torch.__version__, torch.version.cuda or '', get_compiling_cuda_version())
    return Machine(device, name, capability, torch.cuda.device_count(), *versions)


def why_no_gpu() -> str | None:
    """What keeps torch or mmcv-full from a GPU, with what to do about it; None when nothing does."""
    if torch.version.cuda is None:
        return (
            f'torch {torch.__version__} is built without CUDA. On a machine with a GPU run '
            f'DUALDISTILL_DEVICE=cuda bash scripts/setup.sh'
        )
    if not torch.cuda.is_available():
        hidden = os.environ.get('CUDA_VISIBLE_DEVICES')
        seen = '' if hidden is None else f' (CUDA_VISIBLE_DEVICES is "{hidden}")'
        return f'torch {torch.__version__} sees no GPU{seen}. See whether nvidia-smi lists one'
    if get_compiling_cuda_version() == 'not available':
        return (
            f'mmcv-full was compiled without CUDA operations. Put nvcc of CUDA {torch.version.cuda} on the PATH and '
            f'run scripts/setup.sh again'
        )
    return None
