"""Errors that say in one line what is wrong with a config, and where."""

from contextlib import contextmanager


class ConfigProblem(ValueError):
    """Something in a config that would stop a run, or be ignored by it; one line."""


@contextmanager
def blame(place):
    """Turn any error inside the block into a one-line :class:`ConfigProblem` that starts with ``place``."""
    try:
        yield
    except ConfigProblem:
        raise
    except Exception as error:  # whatever a component's constructor raises is a fault of its config
        raise ConfigProblem(f'{place}: {one_line(error)}') from error


def one_line(error):
    """An exception's message without line breaks; its type as well where the message alone says little."""
    text = ' '.join(str(error).split())
    return f'{type(error).__name__}: {text}' if isinstance(error, KeyError) or not text else text
