"""What the quick start leaves: the content of ``results.json`` and of ``report.md``."""

import os
from pathlib import Path
from statistics import mean
from typing import Optional

from dualdistill_cli.tables import as_markdown

from .scores import METRICS

_PICTURE = 'From above and in the cameras. Green is the truth, other colours are what each model says.'
_DATA = (
    'The data are generated in the format of nuScenes, and the models are of toy size. The scores are those of the '
    'nuScenes devkit. They say that the pipeline works and which way the teacher moves the student. They are not '
    'results on the real data set.'
)
_METRICS = (
    'mAP and NDS: higher is better. The five errors (translation m, scale 1-IoU, orientation rad, velocity m/s, '
    'attribute 1-acc): lower is better.'
)


def build_results(per_seed: dict, seconds: dict, wall: float) -> dict:
    """Assemble the content of ``results.json``.

    Args:
        per_seed (dict[int, dict[str, dict[str, float]]]): seed -> model -> metrics, in the order asked for.
        seconds (dict[str, float]): Step name -> seconds.
        wall: Seconds of this call, less than the sum where steps ran side by side or were done before.

    Returns:
        dict: The first seed's models at the top, ``seconds`` (with ``total``, the sum of the steps, and ``this_call``)
        and, for several seeds, ``seeds``.
    """
    first = next(iter(per_seed.values()))
    results = {model: dict(metrics) for model, metrics in first.items()}
    results['seconds'] = {name: round(value, 1) for name, value in seconds.items()}
    results['seconds']['total'] = round(sum(seconds.values()), 1)
    results['seconds']['this_call'] = round(wall, 1)
    if len(per_seed) > 1:
        results['seeds'] = {str(seed): models for seed, models in per_seed.items()}
    return results


def table(per_seed: dict) -> list:
    """Metrics as rows of cells.

    Returns:
        list[list[str]]: Header row, then one row per seed and model; a seed column only for several seeds.
    """
    several = len(per_seed) > 1
    rows = [[*(['seed'] if several else []), 'model', *METRICS]]
    for seed, models in per_seed.items():
        for model, metrics in models.items():
            rows.append([*([str(seed)] if several else []), model, *(f'{metrics[name]:.3f}' for name in METRICS)])
    return rows


def opening(per_seed: dict, labelled: Optional[int]) -> str:
    """What came out, in words for somebody who has never seen such a table.

    Args:
        per_seed: See :func:`build_results`; with the models ``student`` and ``dualdistill``.
        labelled: Percentage of the training scenes that have labels; None for all.
    """
    student, twin = (mean(models[name]['mAP'] for models in per_seed.values()) for name in ('student', 'dualdistill'))
    scenes = others = ''
    if labelled is not None:
        scenes, others = f' in the {labelled} % of the scenes with labels', ' in the others'
    return (
        f'A detector that sees cameras alone learned to find objects{scenes}. It reaches a precision (mAP) of '
        f'{student:.3f}. With a teacher that also sees LiDAR points{others}, it reaches {twin:.3f}. Once trained, it '
        f'does not need the teacher any more.'
    )


def build_report(
    words: str, per_seed: dict, seconds: dict, pictures: list, curves: Path, out_dir: Path, notes: list
) -> str:
    """Markdown report: what came out in words and in a picture, then the table, the other pictures and the times.

    Args:
        words: What came out, see :func:`opening`.
        per_seed, seconds: See :func:`build_results`.
        pictures (list[Path]): Prediction pictures.
        curves: Training curves.
        out_dir: Where the report will lie; images are linked relative to it.
        notes (list[str]): Facts about the run, one list entry each.
    """

    def shown(paths):
        return [f'![{path.stem}]({Path(os.path.relpath(path, out_dir)).as_posix()})\n' for path in paths]

    first, more = shown(pictures[:1]), shown(pictures[1:])
    lines = [
        '# Quick start: teacher, student and distilled student\n',
        f'{words}\n',
        *([*first, f'{_PICTURE}\n'] if first else []),
        f'{_DATA}\n',
        *(f'- {note}' for note in notes),
        '\n## Metrics\n',
        f'{as_markdown(table(per_seed))}\n',
        f'{_METRICS}\n',
        *(['## More predictions\n', *more] if more else []),
        '## Training curves\n',
        *shown([curves]),
        '## Time\n',
        as_markdown(_times(seconds)),
        '',
    ]
    return '\n'.join(lines)


def _times(seconds):
    rows = [[name, f'{value:.0f}'] for name, value in {**seconds, 'sum of the steps': sum(seconds.values())}.items()]
    return [['step', 'seconds'], *rows]
