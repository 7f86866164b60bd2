"""Checkpoint files behind a URL, and the converter of legacy files as a function."""

import functools
import http.server
import threading

import pytest
from helpers.tools import load_tool


@pytest.fixture
def served(tmp_path, monkeypatch):
    """URL of ``tmp_path``, and an empty folder for torch's downloads."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch_home'))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, 'log_message', lambda *args: None)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def convert():
    """``tools/model_converters/convert_legacy.py`` as a function of its command-line words."""
    tool = load_tool('model_converters/convert_legacy.py')
    return lambda *words: tool.main([str(word) for word in words])
