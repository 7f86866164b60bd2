"""A small file beside a checkpoint that keeps what its verification measured: ``<checkpoint>.verified.json``."""

import json
import os
from collections.abc import Mapping

from ..structures.atomic_file import replace_when_done


def record_path(checkpoint: str) -> str:
    """File that belongs to a checkpoint."""
    return f'{checkpoint}.verified.json'


def write_record(checkpoint: str, sha256: str, metrics: Mapping[str, float], samples: int) -> None:
    """Keep the scores of a checkpoint.

    Args:
        checkpoint: checkpoint file.
        sha256: its hash: a later file of the same name does not inherit the scores.
        metrics: ``mAP`` and ``NDS``.
        samples: how many samples they were measured on.
    """
    content = dict(sha256=sha256, samples=samples, mAP=metrics['mAP'], NDS=metrics['NDS'])
    with replace_when_done(record_path(checkpoint)) as temporary, open(temporary, 'w') as stream:
        json.dump(content, stream, indent=1)
        stream.write('\n')


def read_record(checkpoint: str, sha256: str) -> dict[str, float]:
    """Scores of a checkpoint, {} when there are none or they belong to another file.

    Raises:
        ValueError: the record is no such file.
    """
    path = record_path(checkpoint)
    if not os.path.isfile(path):
        return {}
    try:
        with open(path) as stream:
            content = json.load(stream)
        if content['sha256'] != sha256:
            return {}
        return {name: float(content[name]) for name in ('mAP', 'NDS')}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: no record of a verification ({error}): delete it and verify again') from error
