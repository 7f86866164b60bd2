"""Whether the libraries can be imported, and where it stops."""

import importlib
import traceback
from pathlib import Path

from .line import Line, first_line

# in the order in which they build on each other; the last one brings mmcv, its operators, mmdet and mmdet3d
MODULES = ('numpy', 'torch', 'mmdet3d_plugin')
_WAY_OUT = 'bash scripts/setup.sh'


def look(root: Path) -> list:
    """list[Line]: One line, or that of the first module that fails.

    Args:
        root: The repository.
    """
    for name in MODULES:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            text = f'{name} cannot be imported, {culprit(error)}{first_line(error)}. Run {_WAY_OUT}'
            return [Line('imports', 'fatal', text, dict(module=name, error=first_line(error)))]
    return [Line('imports', 'ok', 'torch, mmcv with its operators, mmdet and mmdet3d load')]


def culprit(error: BaseException) -> str:
    """'in mmcv/ops/nms.py: ', the file that failed; empty when it is not known."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith('<')]
    frames = [frame for frame in frames if Path(frame.filename).parent.name not in ('importlib', 'doctor')]
    if not frames:
        return ''
    return f'in {"/".join(Path(frames[-1].filename).parts[-3:])}: '
