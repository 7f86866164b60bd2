"""The command-line tools as modules."""

import importlib.util
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def load_tool(name):
    """Module of a file below ``tools/``, such as ``'test.py'``."""
    path = TOOLS / name
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
