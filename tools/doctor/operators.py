"""Compiled operators: mmcv's and this project's own, on the devices there are. Nothing is compiled here."""

import os
from pathlib import Path

from .line import Line, first_line

_LIBRARY = {'cpu': 'cpp', 'cuda': 'cuda'}


def look(root: Path) -> list:
    """list[Line]: What runs on each device; needs everything importable.

    Args:
        root: The repository.
    """
    import torch
    from mmcv.ops import get_compiler_version, get_compiling_cuda_version

    from mmdet3d_plugin.engine import pick_device

    devices = sorted({'cpu', 'cuda' if torch.cuda.is_available() else 'cpu'})
    compilers = f'compiled by {get_compiler_version()}, CUDA {get_compiling_cuda_version()}'
    lines = [_of_mmcv(device, compilers) for device in sorted({'cpu', pick_device()})]
    if len(devices) > len(lines):
        way_out = f'install a toolkit of CUDA {torch.version.cuda} and run bash scripts/setup.sh'
        text = f'{compilers}, so the GPU is not used: {way_out}'
        lines.append(Line('mmcv on cuda', 'wrong', text))
    return [*lines, *(_own(device) for device in devices), *_choice()]


def _of_mmcv(device, compilers):
    """Three points in two voxels."""
    import torch
    from mmcv.ops import Voxelization

    points = torch.tensor([[0.1, 0.1, 0.0, 1.0], [0.2, 0.1, 0.0, 1.0], [1.1, 0.1, 0.0, 1.0]], device=device)
    try:
        counts = sorted(Voxelization([1, 1, 4], [0, 0, -2, 4, 4, 2], 5, 10)(points)[2].tolist())
    except Exception as error:
        text = f'{compilers}, and does not run: {first_line(error)}. Run bash scripts/setup.sh'
        return Line(f'mmcv on {device}', 'fatal', text)
    if counts != [1, 2]:
        return Line(f'mmcv on {device}', 'fatal', f'{compilers}, counts {counts} for [1, 2]: compile mmcv-full again')
    return Line(f'mmcv on {device}', 'ok', f'{compilers}, runs')


def _own(device):
    """The back end of a device, without compiling one that is not there."""
    from mmdet3d_plugin.ops.build_extension import library_path, obstacle
    from mmdet3d_plugin.ops.extension import ExtensionUnavailable, load_extension

    subject, kind = f'own on {device}', _LIBRARY[device]
    if not library_path(kind).is_file():
        reason = obstacle(kind)
        if reason is None:
            text = f'{kind}, compiled at the first use (about a minute)'
            return Line(subject, 'note', text, dict(backend=kind, compiled=False))
        text = f'plain torch, several times slower: {reason}'
        return Line(subject, 'note', text, dict(backend='reference', compiled=False))
    try:
        load_extension(kind)
    except ExtensionUnavailable as error:
        return Line(subject, 'note', f'plain torch: {first_line(error)}', dict(backend='reference', compiled=True))
    return Line(subject, 'ok', f'{kind}, compiled', dict(backend=kind, compiled=True))


def _choice():
    """A back end that somebody has chosen for all devices."""
    from mmdet3d_plugin.ops.backend import BACKENDS, ENVIRONMENT_VARIABLE

    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if not chosen:
        return []
    verdict, text = ('note', 'it decides for all devices') if chosen in BACKENDS else ('wrong', 'no such back end')
    return [Line(ENVIRONMENT_VARIABLE, verdict, f'{chosen}: {text}; unset it for the usual choice')]
