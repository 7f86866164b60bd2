"""Which configs an ablation compares, and who teaches them."""

from pathlib import Path
from typing import Optional

from ..config_file import read_config
from .rows import TEACHER


def choose_configs(words: Optional[list], known: dict) -> dict:
    """Turn the words of a command line into configs.

    Args:
        words (list[str] | None): Names among ``known`` or config files, each several with commas between; None for all
            of ``known``.
        known (dict[str, str]): Name -> config file.

    Returns:
        dict[str, str]: Name -> config file, in the order given; a file is named after itself, without ``.py``.

    Raises:
        ValueError: An unknown name, a missing file, or two files of one name.
    """
    names = list(known) if words is None else [name for word in words for name in word.split(',') if name]
    chosen = {}
    for word in names:
        file = known.get(word, word)
        if not file.endswith('.py') or not Path(file).is_file():
            raise ValueError(f'unknown config "{word}": give a config file or one of {", ".join(known)}')
        add_config(chosen, word if word in known else Path(file).stem, file)
    return chosen


def add_config(configs: dict, name: str, file: str) -> None:
    """Put a config among others; ValueError when its name is taken by another file."""
    if name == TEACHER:
        raise ValueError(f'{file}: "{TEACHER}" is the name of the teacher here, name the file otherwise')
    if configs.setdefault(name, file) != file:
        raise ValueError(f'two configs are named "{name}", {configs[name]} and {file}: use another --out-dir for one')


def with_teacher(configs: dict) -> dict:
    """Put the teacher of distilled configs before them.

    Args:
        configs (dict[str, str]): Name -> config file.

    Returns:
        dict[str, str]: The same, after ``teacher`` where one is needed.

    Raises:
        ValueError: The configs name different teachers, so that differences would not be due to the students.
    """
    teachers = {}
    for name, file in configs.items():
        teacher = read_config(file).model.get('teacher')
        if teacher is not None:
            teachers.setdefault(teacher.config, name)
    if len(teachers) > 1:
        named = ', '.join(f'{name}: {teacher}' for teacher, name in teachers.items())
        raise ValueError(f'the configs have different teachers ({named}): compare them in --out-dirs of their own')
    return {**dict(zip([TEACHER], teachers)), **configs}


def with_starts(configs: dict, known: dict) -> dict:
    """Put the models from whose weights others start before these.

    Args:
        configs (dict[str, str]): Name -> config file.
        known (dict[str, str]): All configs of the study.

    Returns:
        dict[str, str]: The same, each after that of ``known`` in whose folder its ``load_from`` lies, and so on.
    """
    ordered: dict = {}
    for name, file in configs.items():
        chain = {name: file}
        while (start := _start_of(next(iter(chain.values())))) in known and start not in chain:
            chain = {start: known[start], **chain}
        ordered.update(chain)
    return ordered


def _start_of(file):
    """Name of the folder from whose checkpoint a config starts; empty for none."""
    return Path(read_config(file).get('load_from') or '').parent.name
