"""Where a training run starts: a checkpoint of its own, weights of another run, or neither."""

from __future__ import annotations

import ast
import os.path as osp
import re

import torch
from mmcv import Config
from mmcv.runner import BaseRunner, EvalHook

from ..checkpoints.starting_weights import load_to_resume, load_to_start
from ..hooks.continue_run import ContinueRunHook
from ..structures.atomic_file import remove_leftovers
from .choose_checkpoint import choose_checkpoint


def start_from(runner: BaseRunner, cfg: Config) -> None:
    """Bring a runner to where the config says it starts.

    Args:
        runner: Hooks registered, not yet run.
        cfg: ``resume_from`` wins over ``auto_resume`` (newest checkpoint of ``work_dir``), both over
            ``load_from`` (weights only).
    """
    if runner.rank == 0:
        for line in remove_leftovers(_checkpoint_folder(runner, cfg), '*.pth').lines():
            runner.logger.info(line)
    checkpoint = cfg.get('resume_from')
    if checkpoint is None and cfg.get('auto_resume'):
        checkpoint = _newest_checkpoint(runner, cfg)
    if checkpoint is not None:
        resume(runner, checkpoint, cfg.seed)
    elif cfg.get('load_from'):
        load_to_start(runner.model, cfg.load_from, runner.logger)


def _checkpoint_folder(runner, cfg):
    """Where this run's checkpoints are: the work dir, or its namesake in ``checkpoint_config.out_dir``."""
    out_dir = (cfg.get('checkpoint_config') or {}).get('out_dir')
    return osp.join(out_dir, osp.basename(runner.work_dir)) if out_dir else runner.work_dir


def _newest_checkpoint(runner, cfg):
    """The main process chooses for all, so that no process starts elsewhere than the others."""
    chosen: list[str | None] = [None]
    if runner.rank == 0:
        options = cfg.get('checkpoint_config') or {}
        folder = _checkpoint_folder(runner, cfg)
        chosen = [choose_checkpoint(folder, runner, options.get('interval', 1), options.get('filename_tmpl', ''))]
    if runner.world_size > 1:
        torch.distributed.broadcast_object_list(chosen)
    return chosen[0]


def already_trained(runner: BaseRunner) -> bool:
    """Whether a resumed run has nothing left to do; says so in one line of the log."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, ContinueRunHook)]
    done, wanted, unit = (runner.iter, runner.max_iters, 'iterations')
    if runner.max_epochs is not None:
        done, wanted, unit = (runner.epoch, runner.max_epochs, 'epochs')
    if not hooks or done < wanted or any(hook.evaluation_is_due(runner) for hook in hooks):
        return False
    runner.logger.info(f'already trained {done} {unit} of {wanted}, nothing to do')
    return True


def resume(runner: BaseRunner, checkpoint: str, seed: int | None) -> None:
    """Weights, optimizer, epoch, iteration and hook messages of a checkpoint.

    What depends on the other hooks or on the data loader waits for the start of the run, see :class:`ContinueRunHook`.

    Does what the runner's own ``resume`` does, which cannot be used: it runs the config text in the checkpoint's meta
    as Python code.

    Args:
        runner: Its ``meta`` tells of this run and wins over the checkpoint's, so that the next
            checkpoint is not taken for one of the earlier run's config and number of processes.
        checkpoint: File.
        seed: Of this run; another one than the checkpoint's is warned of.

    Raises:
        ValueError: The file is not one that a training run wrote, or is of another model.
    """
    content = load_to_resume(runner, checkpoint)
    missing = ({'epoch', 'iter'} - set(content.get('meta') or {})) | ({'optimizer'} - set(content))
    if missing:
        raise ValueError(
            f'cannot resume from {checkpoint}: it lacks {", ".join(sorted(missing))}. Start from its weights alone '
            f'with --cfg-options load_from={checkpoint}'
        )
    theirs = dict(content['meta'])
    saved = theirs.pop('resume', {})
    if saved.get('inner_iter') and not hasattr(runner, 'continue_within_epoch'):
        raise ValueError(
            f'cannot resume from {checkpoint}: it was written in the middle of an epoch, which '
            f'{type(runner).__name__} cannot continue. Use EpochBasedRunner, or a checkpoint of an epoch'
        )
    runner._epoch = theirs['epoch']
    runner._iter = theirs['iter'] * _processes(theirs.get('config', ''), runner.world_size) // runner.world_size
    runner.optimizer.load_state_dict(content['optimizer'])
    if theirs.get('seed') != seed:
        runner.logger.warning(
            f'{checkpoint} was trained with seed {theirs.get("seed")}, this run asks for {seed}: '
            f'the data order and augmentation of the remaining epochs differ from the uninterrupted run'
        )
    runner.meta = {**theirs, **runner.meta, 'hook_msgs': _messages(runner, theirs.get('hook_msgs') or {})}
    runner.register_hook(ContinueRunHook(content['state_dict'], saved), priority='LOWEST')
    runner.logger.info(f'resumed from {checkpoint}: epoch {runner.epoch}, iteration {runner.iter}')


def _messages(runner, messages):
    """Hook messages, with the best checkpoint in this run's folder: the evaluation hook deletes it for a better one.

    A run that goes on in another folder must not delete the best checkpoint of the first.
    """
    elsewhere = any(isinstance(hook, EvalHook) and hook.out_dir for hook in runner.hooks)
    if 'best_ckpt' not in messages or elsewhere:
        return dict(messages)
    return dict(messages, best_ckpt=osp.join(runner.work_dir, osp.basename(messages['best_ckpt'])))


def _processes(config, default):
    """Number of processes of the run whose config text this is, read off ``gpu_ids`` without running the text."""
    found = re.search(r'^gpu_ids = (\[[\d,\s]*\]|range\(\d+, \d+\))$', config, flags=re.M)
    if not found:
        return default
    if found[1].startswith('range'):
        first, end = map(int, re.findall(r'\d+', found[1]))
        return max(end - first, 1)
    return len(ast.literal_eval(found[1])) or default
