"""The devkit's summary of an evaluation as named scores, their rules and one table."""

import math

from dualdistill_runtime.detection_classes import DETECTION_CLASSES

ERROR_NAMES = {'trans_err': 'ATE', 'scale_err': 'ASE', 'orient_err': 'AOE', 'vel_err': 'AVE', 'attr_err': 'AAE'}
# errors that the devkit does not measure for a class
NOT_MEASURED = {'traffic_cone': ('orient_err', 'vel_err', 'attr_err'), 'barrier': ('vel_err', 'attr_err')}


def scores_of(summary, mean_ap_weight):
    """Scores of a summary.

    Args:
        summary (dict): What the devkit's ``DetectionMetrics.serialize()`` returns.
        mean_ap_weight (float): Weight of mAP in NDS, against 1 of each error.

    Returns:
        dict[str, float]: ``mAP``, ``NDS``, ``mATE`` (m), ``mASE`` (1 - IoU), ``mAOE`` (rad), ``mAVE`` (m/s),
        ``mAAE`` (1 - accuracy); per class ``<class>_AP``, ``<class>_ATE`` and so on. Errors that a class does not have
        are left out, and so is the mean of an error that none of the classes has.
    """
    scores = dict(mAP=summary['mean_ap'], NDS=_nds(summary, mean_ap_weight))
    scores.update(_defined({f'm{ERROR_NAMES[key]}': value for key, value in summary['tp_errors'].items()}))
    for name, average in summary['mean_dist_aps'].items():
        scores[f'{name}_AP'] = average
        errors = summary['label_tp_errors'][name]
        scores.update(_defined({f'{name}_{ERROR_NAMES[key]}': value for key, value in errors.items()}))
    return {key: float(value) for key, value in scores.items()}


def _nds(summary, weight):
    """NDS of the devkit, without the errors that none of the classes has (barriers have no velocity)."""
    shares = [summary['tp_scores'][key] for key in _defined(summary['tp_errors'])]
    if len(shares) == len(summary['tp_errors']):
        return summary['nd_score']
    return (weight * summary['mean_ap'] + sum(shares)) / (weight + len(shares))


def _defined(numbers):
    return {key: value for key, value in numbers.items() if not math.isnan(value)}


def score_rules(class_names):
    """Every score that :func:`scores_of` returns for these classes, and which way is better.

    Args:
        class_names (Sequence[str]): Classes of the detector.

    Returns:
        dict[str, str]: Name -> ``greater`` or ``less``; means first.
    """
    errors = {
        name: [short for key, short in ERROR_NAMES.items() if key not in NOT_MEASURED.get(name, ())]
        for name in class_names
    }
    means = [f'm{error}' for error in ERROR_NAMES.values() if any(error in of_class for of_class in errors.values())]
    rules = {**dict.fromkeys(('mAP', 'NDS'), 'greater'), **dict.fromkeys(means, 'less')}
    for name in class_names:
        rules[f'{name}_AP'] = 'greater'
        rules.update({f'{name}_{error}': 'less' for error in errors[name]})
    return rules


def metrics_table(scores, class_names):
    """Scores as a text table: one row per class, the means over them last."""
    columns = ['AP', *ERROR_NAMES.values()]
    width = max(*map(len, class_names), len('class')) + 2

    def row(title, keys, form):
        cells = [format(scores[key], form) if key in scores else '-' for key in keys]
        return title.ljust(width) + ''.join(cell.rjust(8) for cell in cells)

    lines = ['class'.ljust(width) + ''.join(column.rjust(8) for column in columns)]
    lines += [row(name, [f'{name}_{column}' for column in columns], '.3f') for name in class_names]
    lines.append(row('mean', [f'm{column}' for column in columns], '.4f'))
    lines.append(f'mAP {scores["mAP"]:.4f}   NDS {scores["NDS"]:.4f}')
    if len(class_names) < len(DETECTION_CLASSES):
        lines.append(
            f'means are over {len(class_names)} of the {len(DETECTION_CLASSES)} nuScenes classes: not comparable with '
            f'official scores'
        )
    return '\n'.join(lines)
