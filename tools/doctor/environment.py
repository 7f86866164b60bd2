"""Python, platform, project and packages: which versions are there, and whether they were tested together."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from matrix.pairs import PAIRS, Pair

from .line import Line

PACKAGES = (
    *('torch', 'mmcv-full', 'mmdet', 'mmdet3d', 'mmsegmentation', 'nuscenes-devkit', 'numpy', 'numba'),
    'opencv-python-headless',
)
_SUPPORTED = ((3, 9), (3, 13))  # from, up to and without
_PIN = re.compile(r'^([\w.-]+)==([\w.+]+)(?:; python_version (>=|<) "(\d+)\.(\d+)")?\s*$', re.M)


def look(root: Path) -> list:
    """list[Line]: The versions that are installed.

    Args:
        root: The repository.
    """
    found = {name: _installed(name) for name in PACKAGES}
    pins = read_pins(root / 'requirements', sys.version_info[:2])
    lines = [_python(root), _platform(), _project(root), _pair(sys.version_info[:2], found['torch'])]
    return lines + [_package(name, version, pins.get(name)) for name, version in found.items()]


def _python(root):
    (first, end), version = _SUPPORTED, platform.python_version()
    place = 'in .venv' if Path(sys.prefix) == root / '.venv' else 'of an environment outside the repository'
    facts = dict(version=version, own_environment=place == 'in .venv')
    if not first <= sys.version_info[:2] < end:
        way_out = 'set DUALDISTILL_PYTHON to a Python 3.9 to 3.12 and run bash scripts/setup.sh'
        return Line('Python', 'fatal', f'{version} {place}: {way_out}', facts)
    return Line('Python', 'ok', f'{version} {place}', facts)


def _platform():
    text = platform.platform()
    return Line('platform', 'ok', f'{text}, {os.cpu_count()} CPU cores', dict(platform=text, cores=os.cpu_count()))


def _project(root):
    """Version and commit; both tell whether a reported mistake is already mended."""
    match = re.search(r"^__version__ = '([^']+)'", (root / 'mmdet3d_plugin' / '__init__.py').read_text(), re.M)
    version = match[1] if match else 'unknown'
    commit, changed = _git(root, 'rev-parse', '--short', 'HEAD').strip(), _git(root, 'status', '--porcelain', '-uno')
    text = f'{version}, commit {commit}' if commit else f'{version}, no checkout of git'
    changes = len(changed.splitlines())
    return Line(
        'DualDistill',
        'ok',
        text + (f', {changes} changed file(s)' if changes else ''),
        dict(version=version, commit=commit, changed_files=changes),
    )


def _git(root, *words):
    """str: git's answer, empty where there is none."""
    try:
        done = subprocess.run(['git', '-C', str(root), *words], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return done.stdout if done.returncode == 0 else ''


def _pair(python, torch):
    """Whether the pair of Python and torch is one that the project's tests have passed with."""
    pairs = [Pair.parse(text) for text in PAIRS]
    here = Pair('.'.join(map(str, python)), (torch or 'none').partition('+')[0])
    facts = dict(python=here.python, torch=here.torch, tested=here in pairs)
    if here in pairs:
        return Line('tested pair', 'ok', f'yes: Python {here.python} and torch {here.torch}', facts)
    names = ', '.join(f'{pair.python} and {pair.torch}' for pair in pairs)
    text = f'no: Python {here.python} and torch {here.torch}. Tested are {names} (docs/versions.md)'
    return Line('tested pair', 'note', text, facts)


def _installed(name):
    """str | None: Version of a distribution."""
    try:
        return importlib.metadata.version(name)
    except Exception:  # not there, or its description is damaged
        return None


def _package(name, version, pin):
    facts = dict(version=version, pinned=pin)
    if version is None:
        return Line(name, 'wrong', 'not installed: bash scripts/setup.sh', facts)
    # torch has pairs of its own, see above
    if pin and name != 'torch' and version.partition('+')[0] != pin:
        return Line(name, 'note', f'{version}, tested with {pin}: bash scripts/setup.sh puts it back', facts)
    return Line(name, 'ok', version, facts)


def read_pins(folder: Path, python: tuple) -> dict:
    """Versions that the requirements files ask for.

    Args:
        folder: The folder ``requirements``.
        python: Major and minor version of Python, by which some pins are chosen.

    Returns:
        dict[str, str]: Distribution -> version; empty without the files.
    """
    pins = {}
    for path in sorted(folder.glob('*.txt')):
        if path.name == 'torch_cuda12.txt':
            continue  # stands in for torch.txt
        for name, version, sign, major, minor in _PIN.findall(path.read_text()):
            limit = (int(major), int(minor)) if sign else python
            if not sign or (python >= limit if sign == '>=' else python < limit):
                pins[name] = version
    return pins
