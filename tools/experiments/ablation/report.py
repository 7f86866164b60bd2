"""The files that show an ablation: ``results.json``, ``report.md`` and ``scores.png``."""

import json
from pathlib import Path

import cv2
from workflow.progress import clock
from workflow.step import write_text

from dualdistill_cli.tables import as_markdown
from mmdet3d_plugin.structures.atomic_file import replace_when_done
from mmdet3d_plugin.visualization.seed_scores import draw_seed_scores

from .rows import SCORES
from .summary import BASELINE, summarise


def write_files(out_dir: Path, rows: list, setting: dict) -> None:
    """Write the three files, each at once.

    Args:
        out_dir: Their folder.
        rows (list[dict]): See :func:`finished_rows`; at least one.
        setting: ``machine`` (str); ``training`` and ``evaluation``, each with ``data_root`` (str) and
            ``settings`` (of the generator).
    """
    results = {'runs': rows, 'summary': summarise(rows), 'setting': setting}
    encoded, picture = cv2.imencode('.png', draw_seed_scores(rows, SCORES)[..., ::-1])
    if not encoded:
        raise OSError(f'cannot encode {out_dir / "scores.png"}')
    with replace_when_done(out_dir / 'scores.png') as temporary:
        temporary.write_bytes(picture.tobytes())
    write_text(out_dir / 'report.md', build_report(results))
    write_text(out_dir / 'results.json', json.dumps(results, indent=2) + '\n')


def summary_table(summary: dict) -> list:
    """Rows of cells, header first: means with their standard deviation, and the gains over the baseline."""
    header = ['config', 'seeds', *SCORES]
    gains = any('gain' in entry for entry in summary.values())
    if gains:
        header += [word for score in SCORES for word in (f'{score} gain', 'every seed')]
    rows = [header]
    for config, entry in summary.items():
        row = [config, str(len(entry['seeds'])), *(_plus_minus(entry[score], '.3f') for score in SCORES)]
        if gains and 'gain' in entry:
            row += [word for score in SCORES
                    for word in (_plus_minus(entry['gain'][score], '+.3f'), entry['gain'][score]['sign'])]  # fmt: skip
        rows.append(row + [''] * (len(header) - len(row)))
    return rows


def _plus_minus(value, form):
    mean = format(value['mean'], form)
    return mean if value['std'] is None else f'{mean} ± {value["std"]:.3f}'


def runs_table(rows: list) -> list:
    """Rows of cells, header first: every run, none left out."""
    table = [['config', 'seed', *SCORES, *(f"teacher's {score}" for score in SCORES), 'time']]
    for row in rows:
        teacher = row['teacher']
        table.append([
            row['config'],
            str(row['seed']),
            *(f'{row[score]:.3f}' for score in SCORES),
            *('' if teacher is None else f'{teacher[score]:.3f}' for score in SCORES),
            clock(row['seconds']),
        ])  # fmt: skip
    return table


def build_report(results: dict) -> str:
    """Markdown with both tables, the plot and what is needed to judge them."""
    rows, summary, setting = results['runs'], results['summary'], results['setting']
    training, evaluation = setting['training'], setting['evaluation']
    teachers = {row['seed']: row['teacher']['seconds'] for row in rows if row['teacher'] is not None}
    seconds = sum(row['seconds'] for row in rows) + sum(teachers.values())
    lines = [
        '# Ablation',
        '',
        'Models trained on the same generated data and scored by the nuScenes devkit; batch, epochs and learning rate '
        'are those of their configs. The numbers compare settings; they are not results on the real data set.',
        '',
        f'- trained on {_scenes(training, training["settings"]["scenes"] - training["settings"]["val_scenes"])}',
        f'- evaluated on {_scenes(evaluation, evaluation["settings"]["val_scenes"])}',
        f'- {len(rows)} run(s), {clock(seconds)} of training and evaluation in all, the teachers\' included; '
        f'{setting["machine"]} at the last call',
        '',
        '## Over the seeds',
        '',
        as_markdown(summary_table(summary)),
        '',
        'Mean ± standard deviation of a sample over the seeds. mAP and NDS: higher is better. mAVE, m/s: lower is.',
        *([f'A gain is the difference to `{BASELINE}` of the same seed; `+` or `-` says that it has that sign in '
           'every seed.'] if any('gain' in entry for entry in summary.values()) else []),
        '',
        '![scores](scores.png)',
        '',
        '## Every run',
        '',
        as_markdown(runs_table(rows)),
        '',
        '`results.json` holds the last logged value of every loss term of each run.',
        '',
    ]  # fmt: skip
    return '\n'.join(lines)


def _scenes(data, scenes):
    return f'{scenes} scenes of {data["settings"]["keyframes"]} keyframes, `{data["data_root"]}`'
