"""Every key of a merged config that no code of a run looks at, found from signatures alone: nothing is built."""

from collections.abc import Iterator

import torch.distributed
from mmcv.runner import (
    HOOKS,
    OPTIMIZERS,
    RUNNERS,
    CheckpointHook,
    DistEvalHook,
    Fp16OptimizerHook,
    OptimizerHook,
)
from mmdet.core import EvalHook
from mmdet.datasets import build_dataloader
from torch.utils.data import DataLoader

from ..distill.compatibility import parts_alone
from .component_keys import (
    UnreadKey,
    accepted_arguments,
    constructor_arguments,
    find_class,
    unknown_component_keys,
    unknown_keys,
)

SPLITS = ('train', 'val', 'test')
_OF_DATA = {*SPLITS, 'samples_per_gpu', 'workers_per_gpu', 'persistent_workers'}
_OF_DATA |= {f'{split}_dataloader' for split in SPLITS}
# the runner's kind decides by_epoch, and training gives the rest itself
_NOT_OF_EVALUATION = {'dataloader', 'test_fn', 'results', 'logger', 'by_epoch'}


def unread_keys(cfg) -> list[UnreadKey]:
    """Keys of a config that training, testing and the components they build would ignore or refuse.

    Args:
        cfg (mmcv.Config): merged config, custom imports done.

    Returns:
        list[UnreadKey]: in the order of the config's parts, empty when everything is read. Top-level names are not
        looked at, see :mod:`.top_level_names`.
    """
    parts = (_of_model, _of_data, _of_schedule, _of_hooks, _of_evaluation, _of_processes)
    return [unread for part in parts for unread in part(cfg)]


def evaluation_arguments(dataset_class: type) -> tuple[set, bool]:
    """Names that ``evaluation`` may hold for a data set of that class, and whether it may hold any other as well."""
    of_hook = constructor_arguments(EvalHook) | constructor_arguments(DistEvalHook)
    of_evaluate, open_ended = accepted_arguments(dataset_class.evaluate)
    return (of_hook | of_evaluate) - _NOT_OF_EVALUATION, open_ended


def innermost_class(dataset):
    """Class of the data set behind wrappers like class-balanced sampling; None where that cannot be told."""
    while isinstance(dataset, dict) and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    name = dataset.get('type') if isinstance(dataset, dict) else None
    return find_class(name) if isinstance(name, str) else None


def _of_model(cfg) -> Iterator[UnreadKey]:
    return unknown_component_keys(parts_alone(_group(cfg, 'model')), ('model',))


def _of_data(cfg) -> Iterator[UnreadKey]:
    data = _group(cfg, 'data')
    yield from unknown_keys(data, _OF_DATA, ('data',))
    of_loader = (accepted_arguments(build_dataloader)[0] | accepted_arguments(DataLoader.__init__)[0]) - {'dataset'}
    for split in SPLITS:
        loader = data.get(f'{split}_dataloader')
        yield from unknown_keys(loader or {}, of_loader, ('data', f'{split}_dataloader'))
        for unread in unknown_component_keys(data.get(split), ('data', split)):
            # mmdet takes a tested data set's batch size from there, as older configs had it
            if split == 'train' or unread.path != ('data', split, 'samples_per_gpu'):
                yield unread


def _of_schedule(cfg) -> Iterator[UnreadKey]:
    optimizer, runner = _group(cfg, 'optimizer'), _group(cfg, 'runner')
    yield from _of_registered(optimizer, OPTIMIZERS, 'optimizer', {'constructor', 'paramwise_cfg'})
    yield from _of_registered(runner, RUNNERS, 'runner', {'constructor'})
    for key, kind in (('lr_config', 'LrUpdaterHook'), ('momentum_config', 'MomentumUpdaterHook')):
        settings = _group(cfg, key)
        policy = settings.get('policy')
        if isinstance(policy, str):  # spelt as mmcv's runner spells it
            name = f'{policy.title() if policy == policy.lower() else policy}{kind}'
            yield from _of_registered(dict(settings, type=name), HOOKS, key, {'policy'})


def _of_hooks(cfg) -> Iterator[UnreadKey]:
    yield from unknown_keys(_group(cfg, 'log_config'), {'interval', 'hooks'}, ('log_config',))
    of_saving = constructor_arguments(CheckpointHook) | {'filename_tmpl', 'create_symlink', 'type'}
    yield from unknown_keys(_group(cfg, 'checkpoint_config'), of_saving, ('checkpoint_config',))
    yield from unknown_keys(_group(cfg, 'fp16'), constructor_arguments(Fp16OptimizerHook) - {'distributed'}, ('fp16',))
    hook = HOOKS.get(_group(cfg, 'optimizer_config').get('type', 'OptimizerHook')) or OptimizerHook
    known = constructor_arguments(hook) | {'type'}
    yield from unknown_keys(_group(cfg, 'optimizer_config'), known, ('optimizer_config',), f' ({hook.__name__})')
    hooks = {('custom_hooks', index): hook for index, hook in enumerate(cfg.get('custom_hooks') or [])}
    for place, hook in {**hooks, ('ema_config',): cfg.get('ema_config')}.items():
        if isinstance(hook, dict):
            named = {key: value for key, value in hook.items() if key != 'priority'}
            yield from unknown_component_keys(named, place)


def _of_evaluation(cfg) -> Iterator[UnreadKey]:
    cls = innermost_class(_group(cfg, 'data').get('val'))
    if not hasattr(cls, 'evaluate'):
        return
    known, open_ended = evaluation_arguments(cls)
    if not open_ended:
        yield from unknown_keys(_group(cfg, 'evaluation'), known, ('evaluation',))


def _of_processes(cfg) -> Iterator[UnreadKey]:
    of_group, _ = accepted_arguments(torch.distributed.init_process_group)
    yield from unknown_keys(_group(cfg, 'dist_params'), of_group | {'port'}, ('dist_params',))


def _of_registered(settings, registry, key, others) -> Iterator[UnreadKey]:
    """Keys of ``settings`` that neither their registered class nor ``others`` knows; of no class: none."""
    name = settings.get('type')
    cls = registry.get(name) if isinstance(name, str) else None
    if cls is not None:
        known = (constructor_arguments(cls) | others | {'type'}) - {'params'}
        yield from unknown_keys(settings, known, (key,), f' ({name})')


def _group(cfg, key) -> dict:
    """A group of settings; empty where the config has none, or something else in its place."""
    value = cfg.get(key)
    return value if isinstance(value, dict) else {}
