"""Takes out of a report what concerns nobody else: absolute paths and the user's name."""

import getpass
import os
import re
import sys
import sysconfig
from pathlib import Path


def scrubber(root: Path):
    """Function: text, list or dict -> the same without paths of this machine.

    The repository becomes ``.``, the environment's packages ``site-packages``, its other files ``<python>``, the home
    folder ``~`` and the user's name ``<user>``.

    Args:
        root: The repository.
    """
    packages = {sysconfig.get_path(name): 'site-packages' for name in ('purelib', 'platlib')}
    places = {str(root): '.', **packages, sys.prefix: '<python>', sys.base_prefix: '<python>', str(Path.home()): '~'}
    for place, name in list(places.items()):
        places.setdefault(os.path.realpath(place), name)
    rules = [
        (re.compile(rf'{re.escape(place)}(?=/|\b|$)'), name)
        for place, name in sorted(places.items(), key=lambda item: -len(item[0]))
        if len(place) > 4  # '/', '/usr' are no secret
    ]
    user = _user()
    if user:
        rules.append((re.compile(rf'(?<=/){re.escape(user)}(?=/|$)'), '<user>'))

    def scrub(value):
        if isinstance(value, dict):
            return {key: scrub(item) for key, item in value.items()}
        if isinstance(value, list):
            return [scrub(item) for item in value]
        if isinstance(value, str):
            for pattern, name in rules:
                value = pattern.sub(name, value)
        return value

    return scrub


def _user():
    """The user's name; empty where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a number without an entry, as in some containers
        return ''
