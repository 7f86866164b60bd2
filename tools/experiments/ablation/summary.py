"""Means, standard errors and paired differences of an ablation. Pure functions over its rows."""

from math import sqrt
from statistics import mean, stdev
from typing import Optional

from scipy.stats import t

from .rows import SCORES

CONFIDENCE = 0.95


def summarise(rows: list, baseline: str) -> list:
    """Statistics of every config over its seeds, all of them, apart for each percentage of labels.

    Args:
        rows (list[dict]): ``config``, ``labels``, ``seed`` and the scores each.
        baseline: Config that the others of the same percentage are compared with.

    Returns:
        list[dict]: For each percentage, or once where there are none, ``labels`` (int | None), ``baseline`` and
        ``configs``: config -> ``seeds``, and for each score what :func:`spread` says. Beside a baseline with common
        seeds, ``gain`` holds for each score the differences from the baseline of the same seed: ``per_seed``,
        :func:`spread`, ``sign`` (see :func:`sign`) and ``smallest_effect`` (see :func:`smallest_effect`).
    """
    return [
        {
            'labels': labels,
            'baseline': baseline,
            'configs': _of_configs([row for row in rows if row['labels'] == labels], baseline),
        }
        for labels in dict.fromkeys(row['labels'] for row in rows)
    ]


def _of_configs(rows, baseline):
    scores = {}
    for row in rows:
        scores.setdefault(row['config'], {})[row['seed']] = {score: row[score] for score in SCORES}
    configs = {}
    for config, by_seed in scores.items():
        configs[config] = {
            'seeds': list(by_seed),
            **{score: spread([values[score] for values in by_seed.values()]) for score in SCORES},
        }
        common = [seed for seed in by_seed if config != baseline and seed in scores.get(baseline, {})]
        if common:
            configs[config]['gain'] = {score: _gain(by_seed, scores[baseline], common, score) for score in SCORES}
    return configs


def _gain(by_seed, baseline, seeds, score):
    gains = {str(seed): by_seed[seed][score] - baseline[seed][score] for seed in seeds}
    values = list(gains.values())
    return {'per_seed': gains, **spread(values), 'sign': sign(values), 'smallest_effect': smallest_effect(values)}


def spread(values: list) -> dict:
    """Mean, standard deviation of a sample (n - 1) and standard error of the mean, std / sqrt(n).

    Args:
        values (list[float]): At least one.

    Returns:
        dict[str, float | None]: ``mean``, ``std`` and ``standard_error``; one value has no spread, which is None.
    """
    std = stdev(values) if len(values) > 1 else None
    return {'mean': mean(values), 'std': std, 'standard_error': None if std is None else std / sqrt(len(values))}


def smallest_effect(gains: list) -> Optional[float]:
    """The smallest mean gain that so many seeds tell from none.

    It is half the width of the confidence interval of a mean of n paired differences: the quantile of Student's t
    distribution with n - 1 degrees of freedom that leaves 2.5 % above it, times the standard error. A gain whose true
    mean is just as large is told from none in about half of all repetitions.

    Args:
        gains (list[float]): Differences of the same seed.

    Returns:
        In units of the score; None for one seed, which tells nothing.
    """
    error = spread(gains)['standard_error']
    return None if error is None else float(t.ppf((1 + CONFIDENCE) / 2, len(gains) - 1)) * error


def sign(gains) -> str:
    """``+`` when every gain is positive, ``-`` when every one is negative, else ``mixed``."""
    gains = list(gains)
    if all(gain > 0 for gain in gains):
        return '+'
    return '-' if all(gain < 0 for gain in gains) else 'mixed'
