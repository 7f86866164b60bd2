"""``--cfg-options`` that a run would ignore: refused before it starts."""

from contextlib import nullcontext

from mmcv import Config

from ..engine.config import RUN_KEYS, load_config
from .config_paths import few, nearest, places_of, value_at, walk
from .config_problem import ConfigProblem, blame
from .unread_keys import unread_keys


def load_checked(path: str, cfg_options=None, work_dir=None, *, also_read=frozenset()):
    """Read a config file as :func:`engine.load_config` does, and refuse overrides that change nothing.

    Args:
        path: config file.
        cfg_options (dict, optional): overrides with dotted keys.
        work_dir (str, optional): see :func:`engine.load_config`.
        also_read (set): variables of the file that the caller reads itself.

    Returns:
        tuple[mmcv.Config, list[str]]: the merged config, and one line for each key of the *file* that nothing reads.

    Raises:
        ConfigProblem: an override that nothing reads, or that only changes a variable which the file has already used.
        FileNotFoundError: no such config file.
    """
    options = cfg_options or {}
    if options:
        base = Config.fromfile(path)._cfg_dict
        for option in [option for option in options if option not in also_read]:
            _check_path(option, base, path)
    with blame('--cfg-options') if options else nullcontext():
        cfg = load_config(path, cfg_options, work_dir)
    notes = []
    for unread in unread_keys(cfg):
        option = next((option for option in options if _overlap(_split(option), unread.path)), None)
        if option is not None:
            raise ConfigProblem(f'--cfg-options {option}: {unread.text}{_hint(option, unread.text, base)}')
        notes.append(unread.text)
    return cfg, notes


def _split(option: str) -> tuple:
    return tuple(option.split('.'))


def _overlap(option: tuple, unread: tuple) -> bool:
    """Whether an override made the unread key, or one of the groups around or inside it."""
    return all(str(ours) == str(theirs) for ours, theirs in zip(option, unread))


def _hint(option: str, text: str, base) -> str:
    """Another existing key for what ``text`` says of an override; none where it names one, or the key is there."""
    there = any('.'.join(path) == option for path, _ in walk(base))
    meant = '' if there or 'did you mean' in text else nearest(_split(option), base, RUN_KEYS)
    return f'; did you mean {meant}?' if meant else ''


def _check_path(option: str, base, path: str) -> None:
    """Refuse an override by its dotted key alone: no such setting, a used-up variable, or a way through a value."""
    parts = _split(option)
    if parts[0] not in RUN_KEYS:
        if parts[0] in base:
            raise ConfigProblem(_used_up(option, parts, base, path))
        meant = nearest(parts, base, RUN_KEYS)
        hint = f', did you mean {meant}?' if meant else f': the settings are {", ".join(sorted(RUN_KEYS))}'
        raise ConfigProblem(f'--cfg-options {option}: nothing reads {parts[0]!r}{hint}')
    try:
        value_at(base, parts)
    except KeyError as missing:
        known = missing.args[0]
        if known:
            _check_parent(option, parts[len(known)], '.'.join(known), value_at(base, known))


def _check_parent(option: str, key: str, place: str, parent) -> None:
    """A new key can only be put into a group of settings."""
    if isinstance(parent, dict):
        return
    if isinstance(parent, (list, tuple)):
        raise ConfigProblem(
            f'--cfg-options {option}: {place} is a list of {len(parent)}, {key!r} is none of its indices '
            f'0 to {len(parent) - 1}'
        )
    raise ConfigProblem(f'--cfg-options {option}: {place} is {parent!r}, no group of settings to put {key!r} into')


def _used_up(option: str, parts: tuple, base, path: str) -> str:
    try:
        places = places_of(value_at(base, parts), parts[-1], base, RUN_KEYS)
    except KeyError:
        places = []
    text = f'--cfg-options {option} changes nothing: the config file has already used its variable {parts[0]!r}'
    if any(place.endswith('data_root') for place in places):
        return (
            f'{text}. Set what it made, {few(places)}: `python tools/misc/move_data_root.py {path} <folder>` prints '
            f'the options, scripts/launch.sh takes DATA_ROOT=<folder>'
        )
    made = few(places) if places else 'see tools/misc/print_config.py'
    return f'{text}. Set what it made ({made}), or write a config file with this one as its _base_'
