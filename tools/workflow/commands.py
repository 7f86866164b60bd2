"""Steps that run one of the project's tools."""

from .step import Step


def command_step(name, title, command, home, **kwargs):
    """Make a step of a tool.

    Args:
        name (str): File-name-safe unique name.
        title (str): Shown on the console.
        command (Sequence): The tool's file and its arguments, strings or what ``str`` makes one of.
        home (Path): Gets the marker, ``steps/<name>.json``, and the log, ``logs/<name>.log``.
        **kwargs: See :class:`Step`.

    Returns:
        Step: The tool, run by the running interpreter.
    """
    command = ('python', *map(str, command))
    return Step(name, title, command, home / 'steps' / f'{name}.json', home / 'logs' / f'{name}.log', **kwargs)


def as_flags(settings):
    """Turn ``{'seed': 0, 'size': (4, 3), 'masks': True}`` into ``['--seed', 0, '--size', 4, 3, '--masks']``."""
    flags = []
    for key, value in settings.items():
        values = [] if value is True else value if isinstance(value, (list, tuple)) else [value]
        flags += [f'--{key}', *values]
    return flags
