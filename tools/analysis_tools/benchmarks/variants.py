"""Several algorithms for one thing: that they agree, and how their times compare. The first one is always ours."""

import torch

from .timing import median_ratio, summary


def check_equal(results, tolerance):
    """Largest difference to the first of {name: tensor}; AssertionError when it is beyond ``tolerance``.

    The tolerance is relative to numbers above 1 and absolute below.
    """
    first, *others = results.values()
    for other in others:
        torch.testing.assert_close(other, first, rtol=tolerance, atol=tolerance)
    return max((other - first).abs().max().item() for other in others)


def compare(subject, label, times):
    """Numbers by name: times of every variant, and ratios (median over rounds of theirs / ours) to the first one.

    Args:
        subject, label: 'bev_pool' and 'forward' give 'bev_pool.forward.<variant>.median_ms' and
            'bev_pool.forward_ratio_vs_<variant>'.
        times: variant -> seconds of every round.
    """
    numbers, (ours, *others) = {}, times
    for name, seconds in times.items():
        numbers.update({f'{subject}.{label}.{name}.{key}': value for key, value in summary(seconds).items()})
    for name in others:
        numbers[f'{subject}.{label}_ratio_vs_{name}'] = median_ratio(times[name], times[ours])
    return numbers


def variant_rows(numbers, subject, label, variants):
    """Two rows of a table, one column per variant: median (middle half) in ms, and how many times slower than ours."""
    ours, *others = variants
    times, title = [], label.replace('_', ' + ')
    for name in variants:
        median, low, high = (numbers[f'{subject}.{label}.{name}.{key}'] for key in ('median_ms', 'low_ms', 'high_ms'))
        times.append(f'{median:.2f} ({low:.2f} to {high:.2f})')
    ratios = [f'{numbers[f"{subject}.{label}_ratio_vs_{name}"]:.1f}' for name in others]
    return [(f'{title}, ms', *times), (f'{title}, ratio', '1', *ratios)]
