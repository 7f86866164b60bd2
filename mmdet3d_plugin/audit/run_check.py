"""What training and testing look at in their config before they build anything; fast, from the text alone."""

import os.path as osp

from .config_problem import ConfigProblem
from .evaluation_options import check_evaluation, check_report_options
from .overrides import load_checked
from .run_values import TRAINED, check_groups, check_loaders, check_values, schedule_notes
from .top_level_names import unread_names


def load_for_training(path: str, cfg_options=None, work_dir=None, validate: bool = True):
    """Read a config to train from, refuse what would be ignored or fail late, and say what is doubtful.

    Args:
        path: config file.
        cfg_options (dict, optional): overrides with dotted keys.
        work_dir (str, optional): see :func:`engine.load_config`.
        validate: whether the run evaluates; ``evaluation`` is not looked at otherwise.

    Returns:
        tuple[mmcv.Config, dict, list[str]]: the config; name -> folder that the run writes to; and one line for each
        key of the file that nothing reads and each setting that will have no effect.

    Raises:
        ConfigProblem: one line on the first override that changes nothing, or value that no run can use.
    """
    cfg, notes = load_checked(path, cfg_options, work_dir)
    check_groups(cfg, *TRAINED)
    check_values(cfg)
    folders = check_evaluation(cfg) if validate else {}
    saving = cfg.get('checkpoint_config') or {}
    if saving.get('out_dir'):
        folders['checkpoint_config.out_dir'] = saving['out_dir']
    return cfg, {'--work-dir': cfg.work_dir, **folders}, [*_names(path), *notes, *schedule_notes(cfg)]


def load_for_test(path: str, cfg_options=None, work_dir=None, *, evaluate, format_only, eval_options, out=None):
    """Read a config to test, and refuse options that would be ignored or fail after the inference.

    Args:
        path: config file.
        cfg_options (dict, optional): overrides with dotted keys.
        work_dir (str, optional): see :func:`engine.load_config`.
        evaluate (bool): scores are wanted.
        format_only (bool): the submission file alone is wanted.
        eval_options (dict): arguments for the data set's method that gives either.
        out (str, optional): file for the raw predictions.

    Returns:
        tuple[mmcv.Config, dict]: the config, and name -> folder that the test writes to.

    Raises:
        ConfigProblem: one line on the first option that nothing reads or that has a wrong value.
    """
    cfg, _ = load_checked(path, cfg_options, work_dir)
    check_groups(cfg, 'model', 'data', 'data.test')
    check_loaders(cfg)
    folders = check_report_options(cfg.data.test, eval_options, evaluate, format_only)
    if out:
        if osp.isdir(out):
            raise ConfigProblem(f'--out {out}: this is a folder, give a file in it')
        folders['--out'] = osp.dirname(osp.abspath(out))
    if evaluate:
        folders['--work-dir'] = cfg.work_dir
    return cfg, folders


def _names(path):
    """Unread names of a config file; none for a file that is not plain Python, which mmcv reads as well."""
    try:
        return unread_names(path)
    except (SyntaxError, ValueError, OSError):
        return []
