"""Values of a schedule that no run can use, or that make it do less than it says."""

import numbers

from .component_keys import spell
from .config_problem import ConfigProblem

# parts of a config without which nothing is trained
TRAINED = ('model', 'data', 'data.train', 'optimizer', 'optimizer_config', 'runner')
# whole numbers a run counts with, and the smallest that makes sense
_WHOLE = {
    ('data', 'samples_per_gpu'): 1,
    ('data', 'workers_per_gpu'): 0,
    **{('data', f'{split}_dataloader', 'samples_per_gpu'): 1 for split in ('train', 'val', 'test')},
    **{('data', f'{split}_dataloader', 'workers_per_gpu'): 0 for split in ('train', 'val', 'test')},
    ('runner', 'max_epochs'): 1,
    ('runner', 'max_iters'): 1,
    ('log_config', 'interval'): 1,
    ('evaluation', 'interval'): 1,
    ('evaluation', 'start'): 0,
    ('optimizer_config', 'cumulative_iters'): 1,
    ('checkpoint_config', 'interval'): -1,
    ('seed',): None,
}
_WITHOUT = {
    'optimizer_config': ': without it no weight ever changes; dict() trains without clipping gradients',
    'evaluation': ': --no-validate trains without it',
}
_MAY_BE_NONE = {('seed',), ('evaluation', 'start'), ('runner', 'max_epochs'), ('runner', 'max_iters')}


def check_groups(cfg, *keys: str) -> None:
    """Raise unless each of these parts of a config is a group of settings.

    Args:
        cfg (mmcv.Config): whole config.
        *keys: top-level keys, or ``data.<split>``.

    Raises:
        ConfigProblem: names the part.
    """
    for key in keys:
        value = _look_up(cfg, *key.split('.'))
        if value is None:
            raise ConfigProblem(f'{key}: missing{_WITHOUT.get(key, "")}')
        if not isinstance(value, dict) and not (isinstance(value, (list, tuple)) and key.startswith('data.')):
            raise ConfigProblem(f'{key}: takes a group of settings, got {value!r}')


def check_loaders(cfg) -> None:
    """The part of :func:`check_values` that a test needs: batch sizes, workers, and that data are for a test."""
    for path, smallest in _WHOLE.items():
        if path[0] == 'data':
            _check_whole(cfg, path, smallest)
    for split in ('val', 'test'):
        if _look_up(cfg, 'data', split, 'test_mode') is False:
            raise ConfigProblem(
                f'data.{split}.test_mode: False makes training samples, which have no score: leave it out'
            )


def check_values(cfg) -> None:
    """Raise for the first value of the schedule that a run cannot use.

    Args:
        cfg (mmcv.Config): whole config.

    Raises:
        ConfigProblem: names the setting, its value and what it takes.
    """
    check_loaders(cfg)
    for path, smallest in _WHOLE.items():
        _check_whole(cfg, path, smallest)
    if _look_up(cfg, 'checkpoint_config', 'interval') == 0:
        raise ConfigProblem('checkpoint_config.interval: 0 is no interval; -1 saves after the last epoch only')
    rate = _look_up(cfg, 'optimizer', 'lr')
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, numbers.Real) or rate < 0):
        raise ConfigProblem(f'optimizer.lr: takes a number that is not negative, got {rate!r}')
    _check_workflow(cfg.get('workflow', [('train', 1)]))
    if cfg.get('fp16') is not None and 'type' in (cfg.get('optimizer_config') or {}):
        raise ConfigProblem('fp16: not together with optimizer_config.type, one of them decides on the hook')


def schedule_notes(cfg) -> list[str]:
    """What a schedule asks for and will not get; one line each.

    Args:
        cfg (mmcv.Config): whole config, values checked.
    """
    epochs, notes = _look_up(cfg, 'runner', 'max_epochs'), []
    if epochs is not None:
        notes += _beyond(cfg, epochs)
    if cfg.get('load_from') and cfg.get('resume_from'):
        notes.append('load_from is not read: resume_from wins')
    names = [hook.get('type') for hook in cfg.get('custom_hooks') or [] if isinstance(hook, dict)]
    notes += [f'custom_hooks: {name} is there {names.count(name)} times' for name in dict.fromkeys(names)
              if names.count(name) > 1]  # fmt: skip
    if 'EpochSeedHook' not in names:
        notes.append(
            'custom_hooks: without EpochSeedHook a resumed run draws other samples and augmentation than the '
            'uninterrupted one. A list in a config file replaces the one of its base: repeat its hooks'
        )
    return notes


def _beyond(cfg, epochs):
    steps = _look_up(cfg, 'lr_config', 'step')
    late = [step for step in steps if step >= epochs] if isinstance(steps, (list, tuple)) else []
    if late and _look_up(cfg, 'lr_config', 'by_epoch') is not False:
        yield f'lr_config.step: the rate never comes down at {late}, the run ends after {epochs} epoch(s)'
    first = _look_up(cfg, 'evaluation', 'start') or _look_up(cfg, 'evaluation', 'interval') or 1
    best = _look_up(cfg, 'evaluation', 'save_best')
    if best and first > epochs:
        yield f'evaluation: first after epoch {first} of {epochs}, so there is no best {best} checkpoint'


def _look_up(cfg, *path):
    for key in path:
        cfg = cfg.get(key) if isinstance(cfg, dict) or hasattr(cfg, '_cfg_dict') else None
    return cfg


def _check_whole(cfg, path, smallest):
    parent = _look_up(cfg, *path[:-1]) if len(path) > 1 else cfg
    if parent is None or path[-1] not in parent:
        return
    value = parent[path[-1]]
    if value is None and path in _MAY_BE_NONE:
        return
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or (smallest is not None and value < smallest):
        least = '' if smallest is None else f' of at least {smallest}'
        raise ConfigProblem(f'{spell(path)}: takes a whole number{least}, got {value!r}')


def _check_workflow(workflow):
    for phase in workflow:
        if not isinstance(phase, tuple) or len(phase) != 2 or phase[0] not in ('train', 'val') or phase[1] < 1:
            raise ConfigProblem(f"workflow: {phase!r} is not ('train', number of epochs)")
    if [mode for mode, _ in workflow] != ['train']:
        raise ConfigProblem(
            f"workflow: {workflow} does not train in one phase; only [('train', 1)] fits the one loader there is. "
            f'Losses of a validation set are not computed, `evaluation` sets its scores'
        )
