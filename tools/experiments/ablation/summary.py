"""Means, standard deviations and paired differences of an ablation. Pure functions over its rows."""

from statistics import mean, stdev

from .rows import SCORES

BASELINE = 'baseline'


def summarise(rows: list) -> dict:
    """Statistics of every config over its seeds, all of them.

    Args:
        rows (list[dict]): ``config``, ``seed``, ``mAP`` and ``NDS`` each.

    Returns:
        dict[str, dict]: config -> ``seeds``, and for each score ``mean`` and ``std`` (see :func:`spread`). Beside a
        baseline with common seeds, ``gain`` holds for each score the difference to the baseline of the same seed:
        ``per_seed``, ``mean``, ``std`` and ``sign`` (see :func:`sign`).
    """
    scores = {}
    for row in rows:
        scores.setdefault(row['config'], {})[row['seed']] = {score: row[score] for score in SCORES}
    summary = {}
    for config, by_seed in scores.items():
        summary[config] = {
            'seeds': list(by_seed),
            **{score: spread([values[score] for values in by_seed.values()]) for score in SCORES},
        }
        common = [seed for seed in by_seed if config != BASELINE and seed in scores.get(BASELINE, {})]
        if common:
            summary[config]['gain'] = {score: _gain(by_seed, scores[BASELINE], common, score) for score in SCORES}
    return summary


def _gain(by_seed, baseline, seeds, score):
    gains = {str(seed): by_seed[seed][score] - baseline[seed][score] for seed in seeds}
    return {'per_seed': gains, **spread(list(gains.values())), 'sign': sign(gains.values())}


def spread(values: list) -> dict:
    """Mean and standard deviation of a sample (n - 1); one value has none, which is None.

    Args:
        values (list[float]): At least one.

    Returns:
        dict[str, float | None]: ``mean`` and ``std``.
    """
    return {'mean': mean(values), 'std': stdev(values) if len(values) > 1 else None}


def sign(gains) -> str:
    """``+`` when every gain is positive, ``-`` when every one is negative, else ``mixed``."""
    gains = list(gains)
    if all(gain > 0 for gain in gains):
        return '+'
    return '-' if all(gain < 0 for gain in gains) else 'mixed'
