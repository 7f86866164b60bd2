"""Files to hand out: weights and what a reader needs to know of them, named after their content."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

from torch import Tensor

from ..structures.atomic_file import scratch_folder
from .distiller_keys import DISTILL
from .files import file_sha256, read_checkpoint, trust_checkpoints, write_checkpoint

# what a training run notes for itself: machine, folders, scheduler and scaler states
_PRIVATE = ('env_info', 'hook_msgs', 'fp16', 'resume')


def student_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The student's part of a distilled state dict.

    Raises:
        ValueError: nothing in it serves distillation, so it is not a distilled checkpoint.
    """
    student = {key: value for key, value in state.items() if not key.startswith(DISTILL)}
    if len(student) == len(state):
        raise ValueError(
            f'no entry starts with {DISTILL!r}: this is not a distilled checkpoint. To strip a plain one, use '
            f'tools/model_converters/publish_model.py'
        )
    return student


def publish(
    source: str, destination: str | Path, state: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> tuple[Path, str]:
    """Write weights without optimizer under a name that ends in the first eight digits of their hash.

    Args:
        source: file the weights come from; its name and hash are noted in ``meta['source']``.
        destination: ``name.pth`` becomes ``name-<hash>.pth``.
        state: name -> tensor.
        meta: of ``source``; facts about its machine and run are dropped, the best score is kept.

    Returns:
        the file and its whole SHA-256.
    """
    kept = {key: value for key, value in meta.items() if key not in _PRIVATE}
    best = (meta.get('hook_msgs') or {}).get('best_score')
    if best is not None:
        kept['hook_msgs'] = dict(best_score=float(best))
    kept['source'] = dict(file=os.path.basename(source), sha256=file_sha256(source))
    destination = Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(destination.parent, destination.name) as folder:
        unnamed = folder / destination.name
        write_checkpoint(unnamed, state, kept)
        digest = file_sha256(unnamed)
        named = destination.with_name(f'{destination.stem}-{digest[:8]}.pth')
        os.replace(unnamed, named)
    return named, digest


def publish_file(args: argparse.Namespace, choose: Callable[[dict[str, Tensor]], Mapping[str, Tensor]]) -> None:
    """What a tool that publishes a file does: read it, choose among its weights, write, print name and hash.

    Args:
        args: see :func:`dualdistill_cli.flags.publishing_args`.
        choose: state dict -> state dict to write.
    """
    with trust_checkpoints(args.trust_checkpoint):
        state, meta = read_checkpoint(args.checkpoint)
    path, digest = publish(args.checkpoint, args.out, choose(state), meta)
    print(f'{path}\nsha256 {digest}')
