"""Everything about a config that can be checked without data and without a GPU."""

import contextlib
import logging
import os.path as osp
import re
import warnings

from mmcv import Config
from mmdet3d.models import build_model

from ..datasets.wrapped import may_be_unlabelled
from ..engine.cacheable import changing_points
from .component_keys import check_component_keys
from .config_problem import ConfigProblem, blame
from .data_check import check_agreement, check_data_sets
from .overrides import load_checked
from .run_values import check_groups, schedule_notes
from .schedule_check import check_schedule
from .top_level_names import check_names, unread_names
from .wiring_table import wiring_table


def check_config(path, cfg_options=None):
    """Build a config's detector, schedule and hooks, check its data part, and describe its wiring.

    A teacher checkpoint that is there is loaded, strictly; one that is not is noted.

    Args:
        path (str): config file.
        cfg_options (dict, optional): overrides with dotted keys.

    Returns:
        tuple[str, list[str]]: the wiring table, and notes on what could not be checked.

    Raises:
        ConfigProblem: a line on each thing that is wrong or that nothing reads. What cannot be looked at before another
            thing is mended is left out.
    """
    found = _Problems()
    with found.gathered(last=True), blame('config file'):
        found.add(unread_names(path))
    with found.gathered(last=True), blame('config file'):
        cfg, unread = load_checked(path, cfg_options)
    found.add(unread)
    with found.gathered(last=True):
        check_groups(cfg, 'model', 'data')
    # what has unread keys is not built: its constructor would refuse them once more, in other words
    parts = {re.split(r'\W', text)[0] for text in unread}
    notes, model, data_sets = [], None, None
    if 'model' not in parts:
        with found.gathered():
            notes += _check_teacher(cfg.model)
            model, built = build_quietly(cfg)
            notes += built
    if 'data' not in parts:
        with found.gathered(), blame('data'):
            data_sets = check_data_sets(cfg.data)
    if model is not None and data_sets is not None:
        with found.gathered(), blame('data'):
            _check_agreement(cfg.model, model, data_sets)
    if model is not None and not parts - {'model', 'data'}:
        with found.gathered():
            check_schedule(cfg, model)
    found.refuse()
    unlabelled = may_be_unlabelled(cfg.data.train) or 'unlabelled' in cfg.model
    return wiring_table(model, cfg.model, unlabelled), [*notes, *schedule_notes(cfg)]


class _Problems:
    """What is wrong with a config, each thing once."""

    def __init__(self):
        self.lines = []

    def add(self, texts):
        """Note lines that are not there yet."""
        self.lines += [text for text in dict.fromkeys(texts) if text not in self.lines]

    @contextlib.contextmanager
    def gathered(self, last=False):
        """Note a ConfigProblem that is raised inside the block; after ``last`` nothing more can be looked at."""
        try:
            yield
        except ConfigProblem as problem:
            self.add([str(problem)])
            if last:
                self.refuse()

    def refuse(self):
        """Raise for what has been noted."""
        if self.lines:
            many = f'{len(self.lines)} things are wrong:\n  ' if len(self.lines) > 1 else ''
            raise ConfigProblem(many + '\n  '.join(self.lines))


def _check_teacher(model_cfg):
    """Check the teacher's own config file; let the build go on without its checkpoint when that is not there."""
    teacher = model_cfg.get('teacher')
    if teacher is None:
        return []
    with blame('model.teacher'):
        config = teacher['config']
        if not osp.isfile(config):
            raise ConfigProblem(f'model.teacher: config {config!r} not found: give it relative to where you run from')
        check_names(config)
        check_component_keys(Config.fromfile(config).model, f'{config}: model')
    checkpoint = teacher.get('checkpoint')
    if not checkpoint or not stand_in_for_teacher(model_cfg):
        return []
    return [f'teacher checkpoint {checkpoint} is not there: its weights were not checked, random ones stand in']


def stand_in_for_teacher(model_cfg):
    """Let a distiller's config take random teacher weights when its checkpoint is not there.

    Args:
        model_cfg (dict): ``cfg.model`` of a distiller, changed in place.

    Returns:
        bool: whether the teacher has random weights.
    """
    checkpoint = model_cfg['teacher'].get('checkpoint')
    if checkpoint and osp.isfile(checkpoint):
        return False
    model_cfg['teacher'].update(checkpoint=None, allow_random_weights=True)
    return True


def build_quietly(cfg):
    """(detector of a config, warnings of the build), without the log of initialisations.

    Raises:
        ConfigProblem: the detector cannot be built.
    """
    with warnings.catch_warnings(record=True) as caught, _quiet('mmcv', 'mmdet3d'), blame('model'):
        warnings.simplefilter('always', UserWarning)
        model = build_model(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
    notes = [str(item.message) for item in caught if issubclass(item.category, UserWarning)]
    return model, [note for note in notes if 'pretrained weights' in note]


@contextlib.contextmanager
def _quiet(*names):
    """Hold back these loggers' messages below warnings."""
    loggers = [logging.getLogger(name) for name in names]
    filters = [(logger, lambda record: record.levelno >= logging.WARNING) for logger in loggers]
    for logger, rule in filters:
        logger.addFilter(rule)
    try:
        yield
    finally:
        for logger, rule in filters:
            logger.removeFilter(rule)


def _check_agreement(model_cfg, model, data_sets):
    distilled = 'teacher' in model_cfg
    detector = model.student if distilled else model
    of_teacher = model.teacher.inputs if distilled else frozenset()
    inputs = dict(train=detector.inputs | of_teacher, val=detector.inputs, test=detector.inputs)
    check_agreement(data_sets, detector, inputs)
    for place, (split, dataset) in data_sets.items():
        for text in changing_points(model, dataset.get('pipeline') or []) if split == 'train' else ():
            raise ConfigProblem(f'{place}: {text}')
