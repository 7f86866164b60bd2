"""Freed memory stays with a process where glibc can be asked, and where nobody else has."""

import ctypes
import platform
import resource
import subprocess
import sys

import pytest

from mmdet3d_plugin.datasets.pipelines import freed_memory

GLIBC = sys.platform.startswith('linux') and platform.libc_ver()[0] == 'glibc'


@pytest.fixture
def ask(monkeypatch):
    """Function: what keep_freed_memory answers in an environment, when it is asked for the first time."""

    def call(**environment):
        monkeypatch.setattr(freed_memory.os, 'environ', environment)
        return freed_memory.keep_freed_memory.__wrapped__()

    return call


@pytest.mark.skipif(not GLIBC, reason="mallopt is glibc's")
def test_asked_where_the_environment_says_nothing(ask, monkeypatch):
    asked = []
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: type('C', (), dict(mallopt=lambda *args: asked.append(args) or 1)))
    assert ask(HOME='/', GLIBC_TUNABLES='glibc.cpu.hwcaps=-AVX2') is True
    assert asked == [(-3, 32 * 2**20), (-1, 256 * 2**20)]
    assert ask(MALLOC_TRIM_THRESHOLD_='1000000') is False
    assert ask(GLIBC_TUNABLES='glibc.malloc.trim_threshold=1') is False
    assert len(asked) == 2


def test_another_c_library_or_system_is_left_alone(ask, monkeypatch):
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: object())
    assert ask() is False
    monkeypatch.setattr(freed_memory.sys, 'platform', 'darwin')
    assert ask() is False


@pytest.mark.skipif(not GLIBC, reason="mallopt is glibc's")
def test_the_next_picture_finds_the_pages_of_the_last():
    def faults(keep):
        source = f"""
import importlib.util, resource, sys
import numpy as np
spec = importlib.util.spec_from_file_location('freed_memory', {freed_memory.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert not {keep} or module.keep_freed_memory()
def sample():
    [np.ones(3 * 2**20, dtype=np.uint8) for _ in range(24)]
sample(), sample()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
sample()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
        return int(subprocess.run([sys.executable, '-c', source], env={}, capture_output=True, check=True).stdout)

    pages = 24 * 3 * 2**20 // resource.getpagesize()
    assert faults(False) > pages / 2 and faults(True) < pages / 20
