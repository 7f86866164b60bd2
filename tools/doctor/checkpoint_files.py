"""Checkpoints below ``outputs/`` and ``checkpoints/``: whose weights they are, and whether they can be tested.

The package's own reader maps the tensors instead of reading them and refuses code, so nothing in a file is run.
"""

import re
from pathlib import Path

from .line import Line, first_line

_MOST = 20  # lines; a folder with more runs is told in part
_TEACHER = ('teacher.', 'teacher_model.', 'distill.teacher.')


def look(root: Path) -> list:
    """list[Line]: The newest and the best file of each folder; needs everything importable.

    Args:
        root: The repository.
    """
    paths = [path for name in ('outputs', 'checkpoints') for path in (root / name).rglob('*.pth')]
    chosen, others = _newest_and_best([path for path in paths if path.is_file() and not path.is_symlink()])
    lines = [_checkpoint(path, root) for path in chosen[:_MOST]]
    others += len(chosen[_MOST:])
    if others:
        text = f'{others} more file(s), older ones or of further folders'
        lines.append(Line('others', 'ok', text, dict(more=others)))
    return lines


def _newest_and_best(paths):
    """tuple[list[Path], int]: The files of each folder that matter, newest folders first, and how many others."""
    folders = {}
    for path in sorted(paths, key=lambda path: -path.stat().st_mtime):
        folders.setdefault(path.parent, []).append(path)
    chosen = []
    for files in folders.values():
        if any(re.fullmatch(r'(best_\w+_)?(epoch|iter)_\d+\.pth', path.name) for path in files):  # of a run
            files = [files[0], *(path for path in files[1:] if path.name.startswith('best_'))]
        chosen += files
    return chosen, len(paths) - len(chosen)


def _checkpoint(path, root):
    """One file, whatever is in it."""
    from mmdet3d_plugin.checkpoints.files import peek
    from mmdet3d_plugin.checkpoints.weight_names import bare_names, find_weights

    name = path.relative_to(root).as_posix()
    try:
        content = peek(str(path))
        state = find_weights(content, name)
        names = list(bare_names(state, name))
    except (OSError, ValueError) as error:
        return Line(name, 'wrong', _without_name(first_line(error), path), dict(kind='checkpoint', servable=False))
    meta = content.get('meta') if isinstance(content, dict) else {}
    meta = meta if isinstance(meta, dict) else {}
    facts = _facts(content, meta, list(state), names, root)
    return _verdict(name, facts, _age(meta, facts))


def _without_name(text, path):
    """A reader's message without the absolute path of the file."""
    return re.sub(rf"^ValueError: checkpoint '{re.escape(str(path))}' ", '', text).replace(str(path), path.name)


def _facts(content, meta, saved, names, root):
    """What a file tells: detector, config, weights, progress."""
    from mmdet3d_plugin.checkpoints.config_text import look_up, read_literals
    from mmdet3d_plugin.checkpoints.weight_names import DISTILL

    model = look_up(read_literals(str(meta.get('config') or '')), 'model')
    kind, student = look_up(model, 'type'), look_up(model, 'student', 'type')
    teacher = meta.get('teacher') if isinstance(meta.get('teacher'), dict) else {}
    return dict(
        kind='checkpoint',
        detector=student or kind,
        distilled=bool(student) or any(key.startswith(DISTILL) for key in names),
        holds_teacher=any(key.startswith(_TEACHER) for key in saved),
        teacher=teacher.get('config'),
        config=_config_file(meta.get('exp_name'), root),
        weights=len([key for key in names if not key.startswith(DISTILL)]),
        epoch=meta.get('epoch') if isinstance(meta.get('epoch'), int) else None,
        resumable=isinstance(content, dict) and 'optimizer' in content,
        written_by=str(meta['dualdistill_version']) if 'dualdistill_version' in meta else None,
    )


def _config_file(name, root):
    """The config of that name in this repository; None where there is none, or several."""
    if not isinstance(name, str) or not name.endswith('.py') or '/' in name:
        return None
    found = sorted((root / 'configs').rglob(name))
    return found[0].relative_to(root).as_posix() if len(found) == 1 else None


def _age(meta, facts):
    """The package's verdict on boxes of an old mmdet3d; 'ok' for files of today."""
    from mmdet3d_plugin.checkpoints.told_by_meta import version_finding

    finding = version_finding(meta)
    return finding if finding.verdict == 'wrong' else None


def _verdict(name, facts, old):
    """Words for the facts, and whether tools/test.py takes the file."""
    about = facts['detector'] or 'a detector that the file does not name'
    about += ', distilled' if facts['distilled'] else ''
    about += f' from {facts["teacher"]}' if facts['teacher'] else ''
    about += f', epoch {facts["epoch"]}' if facts['epoch'] is not None else ''
    about += ', resumable' if facts['resumable'] else ', weights alone'
    about += ', with a teacher in it' if facts['holds_teacher'] else ''
    if old:
        return Line(name, 'wrong', f'{about}: {old.text}', dict(facts, servable=False))
    if facts['holds_teacher']:
        text = f'{about}: convert it with tools/model_converters/convert_legacy.py, which leaves the teacher out'
        return Line(name, 'wrong', text, dict(facts, servable=False))
    if facts['config'] is None:
        text = f'{about}: test it with the config it was trained with; the file names none of configs/'
        return Line(name, 'note', text, dict(facts, servable=None))
    return Line(name, 'ok', f'{about}: test it with {facts["config"]}', dict(facts, servable=True))
