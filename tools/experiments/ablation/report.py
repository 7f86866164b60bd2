"""The files that show an ablation: ``results.json``, ``report.md`` and ``scores.png``."""

import json
from pathlib import Path

import cv2
from workflow.progress import clock
from workflow.step import write_text

from dualdistill_cli.tables import as_markdown
from mmdet3d_plugin.structures.atomic_file import replace_when_done
from mmdet3d_plugin.visualization.seed_scores import draw_seed_scores

from .rows import ERRORS, SCORES, named
from .summary import summarise


def write_files(out_dir: Path, rows: list, setting: dict) -> None:
    """Write the three files, each at once.

    Args:
        out_dir: Their folder.
        rows (list[dict]): See :func:`finished_rows`; at least one.
        setting: ``machine`` and ``baseline`` (str); ``training`` and ``evaluation``, each with ``data_root`` (str) and
            ``settings`` (of the generator).
    """
    results = {'runs': rows, 'summary': summarise(rows, setting['baseline']), 'setting': setting}
    points = [{**row, 'config': named(row['config'], row['labels'])} for row in rows]
    encoded, picture = cv2.imencode('.png', draw_seed_scores(points, SCORES)[..., ::-1])
    if not encoded:
        raise OSError(f'cannot encode {out_dir / "scores.png"}')
    with replace_when_done(out_dir / 'scores.png') as temporary:
        temporary.write_bytes(picture.tobytes())
    write_text(out_dir / 'report.md', build_report(results))
    write_text(out_dir / 'results.json', json.dumps(results, indent=2) + '\n')


def tables_of(summary: list, gains_of: tuple = SCORES) -> list:
    """Title and tables of each percentage of labels.

    Args:
        summary: See :func:`summarise`.
        gains_of: Scores whose gains are told; those of all do not fit onto a console.

    Returns:
        list[tuple[str, list]]: The scores and, where there are any, the gains over the baseline.
    """
    groups = []
    for group in summary:
        labels, configs = group['labels'], group['configs']
        title = 'Over the seeds' if labels is None else f'Labels of {labels} % of the scenes'
        gains = any('gain' in entry for entry in configs.values())
        groups.append((title, [score_table(configs), *([gain_table(configs, gains_of)] if gains else [])]))
    return groups


def score_table(configs: dict) -> list:
    """Rows of cells, header first: means with their standard errors."""
    rows = [[config, str(len(entry['seeds'])), *(_plus_minus(entry[score], '.3f') for score in SCORES)]
            for config, entry in configs.items()]  # fmt: skip
    return [['config', 'seeds', *SCORES], *rows]


def gain_table(configs: dict, scores: tuple = SCORES) -> list:
    """Rows of cells, header first: mean differences from the baseline of the same seed with their standard errors,
    whether they have one sign, and the smallest effect that shows."""
    named = [f'{score} {"change" if score in ERRORS else "gain"}' for score in scores]
    table = [['config', *(word for name in named for word in (name, 'every seed', 'shows from'))]]
    for config, entry in configs.items():
        if 'gain' in entry:
            cells = [_gain_cells(entry['gain'][score]) for score in scores]
            table.append([config, *(word for group in cells for word in group)])
    return table


def _gain_cells(gain):
    smallest = gain['smallest_effect']
    return _plus_minus(gain, '+.3f'), gain['sign'], '' if smallest is None else f'{smallest:.3f}'


def _plus_minus(value, form):
    mean, error = format(value['mean'], form), value['standard_error']
    return mean if error is None else f'{mean} ± {error:.3f}'


def runs_table(rows: list) -> list:
    """Rows of cells, header first: every run, none left out."""
    shares = any(row['labels'] is not None for row in rows)
    header = [*(['labels'] if shares else []), 'config', 'seed', *SCORES]
    table = [[*header, *(f"teacher's {score}" for score in SCORES), 'time']]
    for row in rows:
        table.append([
            *([f'{row["labels"]} %'] if shares else []),
            row['config'],
            str(row['seed']),
            *(f'{row[score]:.3f}' for score in SCORES),
            *('' if row['teacher'] is None else f'{row["teacher"][score]:.3f}' for score in SCORES),
            clock(row['seconds']),
        ])  # fmt: skip
    return table


def build_report(results: dict) -> str:
    """Markdown with all tables, the plot and what is needed to judge them."""
    rows, setting = results['runs'], results['setting']
    groups = tables_of(results['summary'])
    lines = ['# Ablation', '', *_about(rows, setting), '']
    for title, tables in groups:
        lines += [f'## {title}', '', *(line for table in tables for line in (as_markdown(table), ''))]
    lines += [
        'Mean ± standard error over the seeds. mAP and NDS: higher is better. mAOE, radians, and mAVE, m/s: lower is.',
        *(_about_gains(setting['baseline']) if any(len(tables) > 1 for _, tables in groups) else []),
        '',
        '![scores](scores.png)',
        '',
        '## Every run',
        '',
        as_markdown(runs_table(rows)),
        '',
        '`results.json` holds the last logged value of every loss term of each run.',
        '',
    ]
    return '\n'.join(lines)


def _about(rows, setting):
    """What was trained and evaluated on what, as lines."""
    training, evaluation = setting['training'], setting['evaluation']
    teachers = {(row['labels'], row['seed']): row['teacher']['seconds'] for row in rows if row['teacher'] is not None}
    seconds = sum(row['seconds'] for row in rows) + sum(teachers.values())
    return [
        'Models trained on the same generated data and scored by the nuScenes devkit; batch, iterations and learning '
        'rate are those of their configs. The numbers compare settings; they are not results on the real data set.',
        '',
        f'- trained on {_scenes(training, training["settings"]["scenes"] - training["settings"]["val_scenes"])}',
        f'- evaluated on {_scenes(evaluation, evaluation["settings"]["val_scenes"])}',
        f'- {len(rows)} run(s), {clock(seconds)} of training and evaluation in all, the teachers\' included; '
        f'{setting["machine"]} at the last call',
        *(['- labels of some scenes: each seed draws scenes of its own; the teacher learns from the labels that its '
           'students have, and from no others'] if any(row['labels'] is not None for row in rows) else []),
    ]  # fmt: skip


def _about_gains(baseline):
    return [
        f'A gain, or the change of an error, is the difference to `{baseline}` of the same seed; `+` or `-` says that '
        'it has that sign in every seed. "Shows from" is the smallest mean gain that so many seeds tell from none: the '
        "97.5 % quantile of Student's t for n - 1 degrees of freedom, times the standard error of the gain.",
    ]


def _scenes(data, scenes):
    return f'{scenes} scenes of {data["settings"]["keyframes"]} keyframes, `{data["data_root"]}`'
