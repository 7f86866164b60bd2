"""Options of an evaluation, looked at before the hours that lie ahead of it: names, kinds, values."""

import difflib
import inspect

from .component_keys import accepted_arguments, unknown_keys
from .config_problem import ConfigProblem
from .run_values import check_groups
from .unread_keys import innermost_class

FOLDER = 'jsonfile_prefix'
# tools/test.py gives these itself
_GIVEN = {'results', 'logger', 'metric'}


def check_report_options(dataset, options: dict, evaluate: bool, format_only: bool) -> dict:
    """Check ``--eval-options`` of a test against what the data set's method takes.

    Args:
        dataset (dict): ``cfg.data.test``.
        options: the flag's words.
        evaluate: ``--eval`` was given.
        format_only: ``--format-only`` was given.

    Returns:
        dict: name -> folder that the method will write to.

    Raises:
        ConfigProblem: names the option.
    """
    if not (evaluate or format_only):
        for name in sorted(options):
            raise ConfigProblem(f'--eval-options {name}: nothing reads it without --eval or --format-only')
        return {}
    if 'metric' in options:
        raise ConfigProblem('--eval-options metric: the names after --eval are the metrics')
    cls = innermost_class(dataset)
    if cls is None:  # several data sets in one: what they take is told when they are built
        return _folder(options, '--eval-options', required=format_only)
    method = getattr(cls, 'evaluate' if evaluate else 'format_results', None)
    if method is None:
        lacking = 'evaluation' if evaluate else 'submission file'
        raise ConfigProblem(f'data.test: {cls.__name__} has no {lacking}')
    known, open_ended = accepted_arguments(method)
    for unread in unknown_keys(options, options if open_ended else known - _GIVEN, ('--eval-options',)):
        raise ConfigProblem(unread.text)
    _check_backend(options.get('backend'), getattr(cls, 'BACKENDS', None), '--eval-options')
    folder = inspect.signature(method).parameters.get(FOLDER)
    default = {} if folder is None or not isinstance(folder.default, str) else {FOLDER: folder.default}
    return _folder({**default, **options}, '--eval-options', required=format_only)


def check_evaluation(cfg) -> dict:
    """Check the values of a config's ``evaluation``, which training reads at the end of an epoch.

    Their names are :func:`unread.unread_keys`' business.

    Args:
        cfg (mmcv.Config): whole config.

    Returns:
        dict: name -> folder that the evaluation will write to.

    Raises:
        ConfigProblem: names the setting.
    """
    check_groups(cfg, 'data.val', *(['evaluation'] if 'evaluation' in cfg else []))
    options, val = cfg.get('evaluation', {}), cfg.data.val
    if isinstance(val, dict) and 'dataset' in val:
        raise ConfigProblem(
            f'data.val: {val.get("type")} repeats samples and has no evaluation: put its dataset there itself'
        )
    cls = innermost_class(val)
    _check_metric(options.get('metric'), getattr(cls, 'METRICS', None))
    _check_backend(options.get('backend'), getattr(cls, 'BACKENDS', None), 'evaluation')
    if hasattr(cls, 'score_rules') and options.get('save_best') is not None:
        _check_best(options, cls.score_rules(val.get('classes') or cls.CLASSES))
    if options.get('rule') not in (None, 'greater', 'less'):
        raise ConfigProblem(f'evaluation.rule: {options["rule"]!r} is neither greater nor less')
    folders = _folder(options, 'evaluation', required=False)
    if options.get('out_dir'):
        folders['evaluation.out_dir'] = options['out_dir']
    return folders


def _folder(options, place, required):
    """{name: folder} of the submission file; empty when none is kept."""
    if FOLDER not in options or (options[FOLDER] is None and not required):
        return {}
    if not isinstance(options[FOLDER], str):
        raise ConfigProblem(f'{place} {FOLDER}: it takes the name of a folder, got {options[FOLDER]!r}')
    return {f'{place} {FOLDER}': options[FOLDER]}


def _check_metric(metric, known):
    names = [metric] if isinstance(metric, str) else metric
    if metric is None or known is None:
        return
    if not isinstance(names, (list, tuple)) or not names or set(map(str, names)) - set(known):
        raise ConfigProblem(f'evaluation.metric: {metric!r} is none of {", ".join(known)}')


def _check_backend(name, known, place):
    if name is not None and known is not None and name not in known:
        raise ConfigProblem(f'{place} backend: {name!r} is none of {", ".join(known)}')


def _check_best(options, scores):
    name, rule = options['save_best'], options.get('rule')
    if name == 'auto':
        return
    if name not in scores:
        by_case = {known.lower(): known for known in scores}
        close = difflib.get_close_matches(str(name).lower(), by_case, n=1)
        meant = f'did you mean {by_case[close[0]]!r}?' if close else f'it returns {", ".join(_of_all_classes(scores))}'
        raise ConfigProblem(f'evaluation.save_best: the evaluation returns no {name!r}, {meant}')
    if rule is None and name != 'mAP' and not (options.get('greater_keys') or options.get('less_keys')):
        raise ConfigProblem(f'evaluation.rule: missing, {name} needs {scores[name]!r}')
    if rule is not None and rule != scores[name]:
        raise ConfigProblem(f'evaluation.rule: {rule!r} would keep the worst {name}: set it to {scores[name]!r}')


def _of_all_classes(scores):
    """Names without those of single classes, ``<class>_AP``."""
    return [name for name in scores if '_' not in name]
