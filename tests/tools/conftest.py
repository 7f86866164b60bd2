"""The command-line tools of tools/analysis_tools, imported as they are when they run."""

import pytest


@pytest.fixture
def analysis_tools(repo_root, monkeypatch):
    """Make the modules beside the tools importable."""
    monkeypatch.syspath_prepend(str(repo_root / 'tools' / 'analysis_tools'))
