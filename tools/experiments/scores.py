"""Scores that an evaluation left in a work folder."""

import json
from pathlib import Path

METRICS = ('mAP', 'NDS', 'mATE', 'mASE', 'mAOE', 'mAVE', 'mAAE')


def scores_in(folder: Path) -> dict:
    """Scores of the newest evaluation that ``tools/test.py`` wrote into a folder.

    Returns:
        dict[str, float]: One value for each name of :data:`METRICS`.

    Raises:
        FileNotFoundError: There is none.
        ValueError: A metric is missing.
    """
    files = sorted(folder.glob('eval_*.json'), key=lambda path: (path.stat().st_mtime, path.name))
    if not files:
        raise FileNotFoundError(f'no eval_*.json in {folder}')
    content = json.loads(files[-1].read_text())
    # names may follow a prefix such as pts_bbox_NuScenes/
    found = {key.rsplit('/', 1)[-1]: value for key, value in content.get('metric', content).items()}
    missing = [name for name in METRICS if name not in found]
    if missing:
        raise ValueError(
            f'{files[-1]}: no {", ".join(missing)} among its keys; run tools/test.py with --eval bbox again'
        )
    return {name: float(found[name]) for name in METRICS}
