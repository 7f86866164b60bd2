"""Runs of the toy detector that stop dead at a chosen point, and what must be equal once they are resumed."""

import os
import runpy
import time
from pathlib import Path

import mmdet3d_plugin  # noqa: F401  (a spawned process imports this file first, and mmcv must come second)

# isort: split
import torch
from mmcv.runner import HOOKS, Hook

# Between the hooks of a run: before the checkpoint is written (BELOW_NORMAL), after it, after the evaluation (LOW),
# after the checkpoint is written again, after the logs.
BEFORE_SAVING, SAVED, EVALUATED, SAVED_AGAIN, LOGGED = 55, 65, 75, 85, 95


class Stopped(BaseException):
    """Nothing catches it: the run ends where it is raised, as if killed between two lines."""


class StopAt:
    """Point at which the hooks of a run stop it; None lets it run."""

    point = None  # (stage, trained iterations, priority)


@HOOKS.register_module()
class StopHook(Hook):
    """Stops the run at ``StopAt.point`` if that names its own priority."""

    def after_train_iter(self, runner):
        self._stop('after_train_iter', runner.iter + 1)

    def after_train_epoch(self, runner):
        self._stop('after_train_epoch', runner.iter)

    def _stop(self, *where):
        if StopAt.point == (*where, self.priority):
            raise Stopped(StopAt.point)


def final_state(folder):
    """All that must not differ: checkpoints by name, each with weights, optimizer, counters, messages, generators.

    Args:
        folder: Work dir. Its own path and the times of writing are left out.
    """
    return {path.name: _plain(path, folder) for path in sorted(Path(folder).glob('*.pth'))}


def _plain(path, folder):
    content = torch.load(path, weights_only=True)
    meta = {name: content['meta'][name] for name in ('epoch', 'iter', 'hook_msgs', 'seed') if name in content['meta']}
    meta['hook_msgs'] = repr(meta.get('hook_msgs')).replace(str(folder), '')
    resume = dict(content['meta'].get('resume', {}))
    resume['log'] = {name: values for name, values in resume.get('log', {}).items() if 'time' not in name}
    return dict(weights=content['state_dict'], optimizer=content['optimizer'], meta=meta, resume=resume)


def differences(one, other, path=''):
    """Paths at which two nested values differ; tensors are compared bit by bit."""
    if isinstance(one, torch.Tensor):
        return [] if isinstance(other, torch.Tensor) and torch.equal(one, other) else [path]
    if isinstance(one, dict) and isinstance(other, dict):
        missing = [f'{path}/{key}' for key in set(one) ^ set(other)]
        return missing + [
            d for key in set(one) & set(other) for d in differences(one[key], other[key], f'{path}/{key}')
        ]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other)) for d in differences(a, b, f'{path}/{i}')]
    return [] if one == other else [f'{path}: {one!r} != {other!r}'[:300]]


def train_in_group(rank, world_size, ports, calls):
    """Process ``rank`` of runs of ``tools/train.py``, one after the other, for ``torch.multiprocessing.spawn``.

    Args:
        rank: Of this process.
        world_size: Number of processes.
        ports: A free one for each run.
        calls: Pairs of command-line words and the point where to stop (or None).
    """
    time.sleep = lambda seconds: None  # mmcv waits 2 s at each epoch's start
    torch.set_num_threads(1)
    train = runpy.run_path(str(Path(__file__).resolve().parents[2] / 'tools' / 'train.py'))['main']
    for port, (words, StopAt.point) in zip(ports, calls):
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
        os.environ['LOCAL_RANK'] = str(rank)
        try:
            train([*words, '--launcher', 'pytorch'])
            assert StopAt.point is None
        except Stopped:
            pass
        finally:
            torch.distributed.destroy_process_group()
