"""Scores of several configs over several seeds in one picture."""

from statistics import mean

import numpy as np
from matplotlib.figure import Figure

from .curves import to_rgb


def draw_seed_scores(rows, scores, dpi=100):
    """np.ndarray: The figure of :func:`seed_scores_figure` as (H, W, 3) uint8 RGB."""
    return to_rgb(seed_scores_figure(rows, scores, dpi))


def seed_scores_figure(rows, scores, dpi=100):
    """Plot a panel for each score: a line for each config, a point for each seed, a bar at the mean.

    Args:
        rows (Sequence[dict]): ``config`` (str), ``seed`` (int) and the scores (float) of each run.
        scores (Sequence[str]): Keys to plot, side by side.
        dpi (int): Pixels per inch.

    Returns:
        matplotlib.figure.Figure: Configs from top to bottom in order of appearance; a seed has one colour.

    Raises:
        ValueError: There are no rows.
    """
    if not rows:
        raise ValueError('nothing to plot: there are no runs')
    configs = list(dict.fromkeys(row['config'] for row in rows))
    seeds = sorted({row['seed'] for row in rows})
    size = (4.5 * len(scores) + 1.0, 0.4 * len(configs) + 1.4)
    figure = Figure(figsize=size, dpi=dpi, layout='constrained')
    axes = np.ravel(figure.subplots(1, len(scores), sharey=True))
    for axis, score in zip(axes, scores):
        for number, seed in enumerate(seeds):
            points = [(row[score], configs.index(row['config'])) for row in rows if row['seed'] == seed]
            axis.scatter(*zip(*points), s=28, color=f'C{number % 10}', alpha=0.8, label=f'seed {seed}', zorder=3)
        means = [mean(row[score] for row in rows if row['config'] == config) for config in configs]
        axis.scatter(means, range(len(configs)), marker='|', s=260, color='black', label='mean', zorder=4)
        axis.set_title(score, fontsize=10)
        axis.set_yticks(range(len(configs)), configs, fontsize=9)
        axis.set_ylim(len(configs) - 0.5, -0.5)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside upper center', ncols=min(8, len(labels)), fontsize=9)
    return figure
