"""Where a training run starts: a checkpoint of its own, weights of another run, or neither."""

import ast
import re

from mmdet3d.utils import find_latest_checkpoint

from ..checkpoints.starting_weights import load_to_resume, load_to_start


def start_from(runner, cfg):
    """Bring a runner to where the config says it starts.

    Args:
        runner (mmcv.runner.BaseRunner): Hooks registered, not yet run.
        cfg (mmcv.Config): ``resume_from`` wins over ``auto_resume`` (newest checkpoint of ``work_dir``), both over
            ``load_from`` (weights only).
    """
    checkpoint = cfg.get('resume_from')
    if checkpoint is None and cfg.get('auto_resume'):
        checkpoint = find_latest_checkpoint(cfg.work_dir)
    if checkpoint is not None:
        resume(runner, checkpoint, cfg.seed)
    elif cfg.get('load_from'):
        load_to_start(runner.model, cfg.load_from, runner.logger)


def resume(runner, checkpoint, seed):
    """Weights, optimizer, epoch, iteration and hook messages of a checkpoint.

    Does what the runner's own ``resume`` does, which cannot be used: it runs the config text in the checkpoint's meta
    as Python code.

    Args:
        runner (mmcv.runner.BaseRunner): Its ``meta`` tells of this run and wins over the checkpoint's, so that the next
            checkpoint is not taken for one of the earlier run's config and number of processes.
        checkpoint (str): File.
        seed (int): Of this run; another one than the checkpoint's is warned of.

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
    theirs = content['meta']
    runner._epoch = theirs['epoch']
    runner._iter = theirs['iter'] * _processes(theirs.get('config', ''), runner.world_size) // runner.world_size
    runner.optimizer.load_state_dict(content['optimizer'])
    if theirs.get('seed') != seed:
        runner.logger.warning(
            f'{checkpoint} was trained with seed {theirs.get("seed")}, this run asks for {seed}: '
            f'the data order and augmentation of the remaining epochs differ from the uninterrupted run'
        )
    runner.meta = {**theirs, **runner.meta, 'hook_msgs': theirs.get('hook_msgs', {})}
    runner.logger.info(f'resumed from {checkpoint}: epoch {runner.epoch}, iteration {runner.iter}')


def _processes(config, default):
    """Number of processes of the run whose config text this is, read off ``gpu_ids`` without running the text."""
    found = re.search(r'^gpu_ids = (\[[\d,\s]*\]|range\(\d+, \d+\))$', config, flags=re.M)
    if not found:
        return default
    if found[1].startswith('range'):
        first, end = map(int, re.findall(r'\d+', found[1]))
        return max(end - first, 1)
    return len(ast.literal_eval(found[1])) or default
