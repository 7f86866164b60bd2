"""Which trainings of an ablation are finished, what came out of them, and how long the others may take."""

import json
from pathlib import Path
from statistics import mean
from typing import Optional

from mmdet3d_plugin.visualization.curves import loss_terms, read_run

from ..plan import Plan
from ..scores import scores_in

TEACHER = 'teacher'
SCORES = ('mAP', 'NDS', 'mAVE')
ROW_KEYS = ('config', 'config_file', 'seed', *SCORES, 'loss_terms', 'seconds', 'teacher')


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


def finished_rows(plan: Plan) -> list:
    """Rows of the trained and evaluated models of a plan.

    Args:
        plan: ``teacher`` is the teacher, every other model a row.

    Returns:
        list[dict]: :data:`ROW_KEYS` each, by model, then by seed. ``loss_terms`` are the last logged losses by name,
        ``seconds`` those of training and evaluation, ``teacher`` the scores and seconds of the teacher of that seed
        (None for a model without one, or before it is evaluated).
    """
    teachers = {seed: _outcome(plan, TEACHER, seed) for seed in plan.seeds if TEACHER in plan.configs}
    rows = []
    for name in plan.configs:
        for seed in sorted(plan.seeds):
            outcome = None if name == TEACHER else _outcome(plan, name, seed)
            if outcome is None:
                continue
            row = {'config': name, 'config_file': plan.config_files[name], 'seed': seed, **outcome}
            row['loss_terms'] = _last_losses(plan.run_dir(name, seed))
            row['teacher'] = teachers[seed] if has_teacher(plan, name) else None
            rows.append(row)
    return rows


def _last_losses(work_dir):
    """dict[str, float]: Losses of the last training record, a mean over the iterations since the one before."""
    return loss_terms([record for record in read_run(work_dir) if record['mode'] == 'train'][-1])


def has_teacher(plan: Plan, name: str) -> bool:
    """The model is a distilled one."""
    return 'teacher' in plan.configs[name].model


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
