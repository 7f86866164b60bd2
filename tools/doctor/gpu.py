"""GPUs: what the driver and torch say of them, and whether torch has code for them."""

import re
import subprocess
from pathlib import Path

from .line import Line

_QUERY = ('--query-gpu=name,memory.total,driver_version', '--format=csv,noheader')


def look_by_driver(root: Path) -> list:
    """list[Line]: What the NVIDIA driver says, without torch.

    Args:
        root: The repository.
    """
    try:
        done = subprocess.run(['nvidia-smi', *_QUERY], capture_output=True, text=True, timeout=10)
    except FileNotFoundError:
        return [Line('driver', 'note', 'no NVIDIA driver (nvidia-smi is not there): everything runs on the CPU')]
    except (OSError, subprocess.TimeoutExpired) as error:
        return [Line('driver', 'wrong', f'nvidia-smi does not answer ({type(error).__name__}): restart the machine')]
    rows = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not rows:
        answer = (done.stdout + done.stderr).strip().splitlines() or ['no answer']
        return [Line('driver', 'wrong', f'nvidia-smi sees no GPU: {answer[0]}')]
    return [Line('driver', 'ok', '; '.join(rows), dict(gpus=rows))]


def look(root: Path) -> list:
    """list[Line]: What torch says.

    Args:
        root: The repository.
    """
    import torch

    built = torch.version.cuda
    if not built:
        return [Line('torch', 'note', 'built without CUDA: it runs on the CPU, also where there is a GPU')]
    if not torch.cuda.is_available():
        return [Line('torch', 'note', f'built for CUDA {built}, sees no GPU: it runs on the CPU', dict(cuda=built))]
    compiled = torch.cuda.get_arch_list()
    return [
        _device(index, torch.cuda.get_device_properties(index), built, compiled)
        for index in range(torch.cuda.device_count())
    ]


def _device(index, properties, built, compiled):
    capability = (properties.major, properties.minor)
    text = f'{properties.name}, {properties.total_memory / 2**30:.0f} GiB, sm_{capability[0]}{capability[1]}'
    facts = dict(
        name=properties.name, bytes=properties.total_memory, capability=list(capability), cuda=built, compiled=compiled
    )
    if has_code_for(capability, compiled):
        return Line(f'GPU {index}', 'ok', f'{text}, torch for CUDA {built} has code for it', facts)
    way_out = 'install a torch that has (DUALDISTILL_TORCH, docs/versions.md), or run with CUDA_VISIBLE_DEVICES='
    return Line(f'GPU {index}', 'wrong', f'{text}: torch has code for {", ".join(compiled)} alone: {way_out}', facts)


def has_code_for(capability: tuple, compiled: list) -> bool:
    """Whether a GPU can run what torch was compiled for.

    Machine code runs on later GPUs of the same major version; PTX (``compute_80``) is translated for any later one.

    Args:
        capability: Major and minor version of the GPU, as (9, 0).
        compiled: torch's list, such as ``['sm_80', 'sm_90', 'compute_90']``.
    """
    for entry in compiled:
        match = re.fullmatch(r'(sm|compute)_(\d+)(\d)[af]?', entry)
        if match is None:
            continue
        kind, version = match[1], (int(match[2]), int(match[3]))
        exact_only = entry[-1] in 'af'
        old_enough = version == capability or (version < capability and not exact_only)
        if old_enough and (kind == 'compute' or version[0] == capability[0]):
            return True
    return False
