"""Which checkpoint of a work directory ``--auto-resume`` goes on from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from mmcv.runner import BaseRunner

from ..checkpoints.files import peek


@dataclass
class _Found:
    """Files of a folder, by what can be done with them."""

    whole: list[_Candidate] = field(default_factory=list)
    without_optimizer: list[_Candidate] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)
    foreign: dict[Path, str] = field(default_factory=dict)


@dataclass
class _Candidate:
    path: Path
    iteration: int
    written: float

    def order(self):
        """Better ones are greater. Best checkpoints come last: they lack random states and gradients."""
        return not self.path.name.startswith('best_'), self.iteration, self.written


def choose_checkpoint(folder: str | Path, runner: BaseRunner, first: int, template: str = '') -> str | None:
    """The checkpoint that a run in this folder goes on from, with one line of log for every file passed over.

    Files of a run are told by their names (``epoch_<n>.pth``, ``iter_<n>.pth``, ``best_<metric>_...pth``, or the
    config's template) and by what is in them. ``latest.pth`` says which was written last. Another one wins only if it
    is both further and newer, that is, if the run was killed just before it moved the link.

    Args:
        folder: Work directory.
        runner: For its log.
        first: Number of the first checkpoint that the run writes. If that one alone is there and cut, nothing is lost.
        template: ``filename_tmpl`` of the config, if it has one.

    Returns:
        Path, or None when the run starts from the beginning.

    Raises:
        ValueError: There are checkpoints of the run but none can be read (names what to delete), or one would run code.
    """
    folder, log = Path(folder), runner.logger
    found = _look_through(folder, template)
    for path, reason in found.foreign.items():
        log.info(f'auto-resume: {path} is passed over, {reason}')
    for path, reason in found.unreadable.items():
        log.warning(f'auto-resume: {path} is passed over, it is cut or damaged ({reason})')
    if found.whole:
        return str(_newest(found.whole, folder / 'latest.pth').path)
    if found.without_optimizer:
        return str(max(found.without_optimizer, key=_Candidate.order).path)  # resuming says what it lacks
    if found.unreadable and not _only_first(found.unreadable, first):
        raise ValueError(
            f'nothing to resume from in {folder}: {", ".join(path.name for path in found.unreadable)} cannot be read. '
            f'Put a whole copy there if you have one; otherwise delete what is named here to start from the beginning'
        )
    log.info(f'auto-resume: no checkpoint of this run in {folder}, starting from the beginning')
    return None


def _look_through(folder, template):
    own = [r'(best_.+_)?(epoch|iter)_\d+\.pth', r'latest\.pth']
    if template:
        own.append(re.escape(template).replace(r'\{\}', r'\d+'))
    found = _Found()
    for path in sorted(folder.glob('*.pth')):
        if path.is_symlink() and path.name == 'latest.pth' or not path.exists():
            continue  # the file it points to is looked at itself
        if not any(re.fullmatch(name, path.name) for name in own):
            found.foreign[path] = 'its name is not one of a checkpoint of this run'
            continue
        try:
            content = peek(str(path))
        except ValueError as error:
            if '--trust-checkpoint' in str(error):
                raise
            found.unreadable[path] = str(error.__cause__ or error).strip().split('\n')[0][:120]
            continue
        _sort_in(found, path, content)
    return found


def _sort_in(found, path, content):
    written = path.stat().st_mtime
    if content is None:  # trusted, but not looked into: its iteration is not known
        found.whole.append(_Candidate(path, -1, written))
        return
    meta = content.get('meta') if isinstance(content, dict) else None
    if not isinstance(meta, dict) or not {'epoch', 'iter'} <= set(meta):
        found.foreign[path] = 'no training run wrote it'
    elif 'optimizer' not in content:
        found.without_optimizer.append(_Candidate(path, meta['iter'], written))
    else:
        found.whole.append(_Candidate(path, meta['iter'], written))


def _newest(candidates, latest):
    best = max(candidates, key=_Candidate.order)
    linked = [candidate for candidate in candidates if latest.exists() and candidate.path.samefile(latest)]
    if linked and not (best.order() > linked[0].order() and best.written >= linked[0].written):
        return linked[0]
    return best


def _only_first(paths, first):
    """Whether all that is there is the run's first checkpoint."""
    match = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', min(paths).name)
    return len(paths) == 1 and match is not None and int(match[1]) <= first
