"""Which trainings of an ablation are finished, what came out of them, and how long the others may take."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Optional

from mmdet3d_plugin.visualization.curves import loss_terms, read_run

from ..plan import Plan
from ..scores import scores_in

TEACHER = 'teacher'
SCORES = ('mAP', 'NDS', 'mAOE', 'mAVE')
ERRORS = ('mAOE', 'mAVE')  # of these, lower is better
ROW_KEYS = ('config', 'config_file', 'labels', 'seed', *SCORES, 'loss_terms', 'seconds', 'teacher')


@dataclass(frozen=True)
class Entry:
    """A config at a percentage of labels (None: as the config says): a line of the tables, a model of the plan."""

    config: str
    labels: Optional[int] = None

    def __str__(self) -> str:
        """Its name in the plan, and with that of its folders."""
        return self.config if self.labels is None else f'{self.config}_{self.labels}'


def named(config: str, labels: Optional[int]) -> str:
    """Name of a config for readers, with the percentage of labels where there is one."""
    return config if labels is None else f'{config}, {labels} %'


def read_rows(path: Path) -> tuple:
    """Rows of an earlier call.

    Args:
        path: ``results.json`` of an ablation.

    Returns:
        tuple[list[dict], dict]: Its ``runs`` and its ``setting``; empty when there is no such file.

    Raises:
        ValueError: The file is not one of an ablation.
    """
    if not path.exists():
        return [], {}
    try:
        content = json.loads(path.read_text())
        rows, setting = content['runs'], content['setting']
        missing = sorted({key for row in rows for key in ROW_KEYS if key not in row})
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is not the results.json of an ablation ({error!r}): move it away') from error
    if missing:
        raise ValueError(f'{path}: a run without {", ".join(missing)}; move the file away')
    return rows, setting


def finished_rows(plan: Plan, entries: list) -> list:
    """Rows of the trained and evaluated models of a plan.

    Args:
        plan: Its models are the entries and their teachers.
        entries (list[Entry]): What is compared, in the order of the rows.

    Returns:
        list[dict]: :data:`ROW_KEYS` each, by entry, then by seed. ``loss_terms`` are the last logged losses by name,
        ``seconds`` those of training and evaluation, ``teacher`` the scores and seconds of the teacher of that seed
        and these labels (None for a model without one, or before it is evaluated).
    """
    rows = []
    for entry in entries:
        name, teacher = str(entry), plan.teacher_of(str(entry))
        for seed in sorted(plan.seeds):
            outcome = _outcome(plan, name, seed)
            if outcome is None:
                continue
            row = {'config': entry.config, 'config_file': plan.config_files[name], 'labels': entry.labels, 'seed': seed}
            row.update(outcome, loss_terms=_last_losses(plan.run_dir(name, seed)))
            row['teacher'] = teacher and _outcome(plan, teacher, seed)
            rows.append(row)
    return rows


def _last_losses(work_dir):
    """dict[str, float]: Losses of the last training record, a mean over the iterations since the one before; none of
    a training too short for one."""
    records = [record for record in read_run(work_dir) if record['mode'] == 'train']
    return loss_terms(records[-1]) if records else {}


def _outcome(plan, name, seed):
    """dict | None: Scores and seconds of one model, None before it is trained and evaluated."""
    steps = plan.runs[seed][name]
    if not all(step.is_done() for step in steps):
        return None
    metrics = scores_in(plan.run_dir(name, seed) / 'eval')
    seconds = round(sum(step.read_marker()['seconds'] for step in steps), 1)
    return {**{score: metrics[score] for score in SCORES}, 'seconds': seconds}


def time_left(pairs: list, jobs: int) -> Optional[float]:
    """Estimate the time of the steps to come from those done.

    Args:
        pairs (list[tuple[Step, Step]]): Training and evaluation of each model and seed.
        jobs: Steps at a time.

    Returns:
        Seconds; trainings and evaluations each count as long as their mean so far. None when there is
        nothing to go by.
    """
    left = 0.0
    for steps in zip(*pairs):
        spent = [step.read_marker()['seconds'] for step in steps if step.is_done()]
        if not spent:
            return None
        left += (len(steps) - len(spent)) * mean(spent)
    return left / jobs
