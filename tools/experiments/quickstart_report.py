"""What the quick start leaves: the content of ``results.json`` and of ``report.md``."""

import os
from pathlib import Path

from dualdistill_cli.tables import as_markdown

from .scores import METRICS


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


def build_report(
    opening: str, per_seed: dict, seconds: dict, pictures: list, curves: Path, out_dir: Path, notes: list
) -> str:
    """Markdown report: what came out in words and in a picture, then the table, the other pictures and the times.

    Args:
        opening: What came out, in words.
        per_seed, seconds: See :func:`build_results`.
        pictures (list[Path]): Prediction pictures.
        curves: Training curves.
        out_dir: Where the report will lie; images are linked relative to it.
        notes (list[str]): Facts about the run, one list entry each.
    """

    def link(path):
        return Path(os.path.relpath(path, out_dir)).as_posix()

    shown = [f'![{path.stem}]({link(path)})\n' for path in pictures]
    lines = [
        '# Quick start: teacher, student and distilled student',
        '',
        opening,
        '',
        *shown[:1],
        'From above and in the cameras: areas and boxes in green are the truth, those in other colours what each model '
        'says.',
        '',
        'Synthetic nuScenes-format data and toy-size models, evaluated with the official nuScenes devkit. These '
        'numbers say that the pipeline works and which way distillation moves the student; they are not results on '
        'the real data set.',
        '',
        *(f'- {note}' for note in notes),
        '',
        '## Metrics',
        '',
        as_markdown(table(per_seed)),
        '',
        'mAP and NDS: higher is better. The five errors (translation m, scale 1-IoU, orientation rad, velocity m/s, '
        'attribute 1-acc): lower is better.',
        '',
        *(['## More predictions', '', *shown[1:]] if shown[1:] else []),
        '## Training curves',
        '',
        f'![training curves]({link(curves)})',
        '',
        '## Time',
        '',
        as_markdown([['step', 'seconds'], *([name, f'{value:.0f}'] for name, value in seconds.items()),
                     ['sum of the steps', f'{sum(seconds.values()):.0f}']]),
        '',
    ]  # fmt: skip
    return '\n'.join(lines)
