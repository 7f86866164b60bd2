"""Metrics of several models as a console table, a JSON file and a Markdown report."""

import json
import os
from pathlib import Path

METRICS = ('mAP', 'NDS', 'mATE', 'mASE', 'mAOE', 'mAVE', 'mAAE')


def read_metrics(path):
    """Read an evaluation file of ``tools/test.py``.

    Args:
        path (Path): JSON object whose (possibly nested under ``metric``) keys end in mAP, NDS, mATE, ... after an
            optional prefix such as ``pts_bbox_NuScenes/``.

    Returns:
        dict[str, float]: One value for each name of :data:`METRICS`.

    Raises:
        ValueError: A metric is missing.
    """
    content = json.loads(Path(path).read_text())
    content = content.get('metric', content)
    found = {key.rsplit('/', 1)[-1]: value for key, value in content.items()}
    missing = [name for name in METRICS if name not in found]
    if missing:
        raise ValueError(f'{path}: no {", ".join(missing)} among its keys; run tools/test.py with --eval bbox again')
    return {name: float(found[name]) for name in METRICS}


def newest(folder, pattern):
    """Path: the newest file in ``folder`` matching ``pattern``; FileNotFoundError names both when there is none."""
    files = sorted(Path(folder).glob(pattern), key=lambda path: (path.stat().st_mtime, path.name))
    if not files:
        raise FileNotFoundError(f'no {pattern} in {folder}')
    return files[-1]


def build_results(per_seed, seconds, wall):
    """Assemble the content of ``results.json``.

    Args:
        per_seed (dict[int, dict[str, dict[str, float]]]): seed -> model -> metrics, in the order asked for.
        seconds (dict[str, float]): Step name -> seconds.
        wall (float): Seconds of this call, less than the sum where steps ran side by side or were done before.

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


def table(per_seed):
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


def as_text(rows, name='model'):
    """Align rows for a console: columns up to ``name`` to the left, the numbers after it to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = rows[0].index(name)
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if column <= left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def as_markdown(rows):
    """Rows as a Markdown table."""
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join([lines[0], '|' + '---|' * len(rows[0]), *lines[1:]])


def build_report(per_seed, seconds, pictures, curves, out_dir, notes=()):
    """Markdown report with the table, the pictures and the times.

    Args:
        pictures (Sequence[Path]): Prediction pictures.
        curves (Path): Training curves.
        out_dir (Path): Where the report will lie; images are linked relative to it.
        notes (Sequence[str]): Facts about the run, one list entry each.

    Returns:
        str: The report.
    """

    def link(path):
        return Path(os.path.relpath(path, out_dir)).as_posix()

    lines = [
        '# Quick start: teacher, student and distilled student',
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
        '## Predictions',
        '',
        'Green: ground truth. Class colours: predictions.',
        '',
        *(f'![{path.stem}]({link(path)})\n' for path in pictures),
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


def write_text(path, text):
    """Write a text file, see :func:`write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path, content):
    """Write a file through a temporary name, so that readers never see half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + '.tmp')
    temporary.write_bytes(content)
    os.replace(temporary, path)
