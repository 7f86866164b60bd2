"""The command line is installed with the rest, and uses the standard library alone."""

import subprocess
import sys

LIST = """
import setuptools
setuptools.setup = lambda **kwargs: print(*kwargs['packages'])
exec(compile(open('setup.py').read(), 'setup.py', 'exec'), {'__file__': 'setup.py', '__name__': '__main__'})
"""
IMPORTED = """
import sys
before = set(sys.modules)
import dualdistill_cli
new = {name.split('.')[0] for name in set(sys.modules) - before} - {'dualdistill_cli'}
print(*sorted(new - set(getattr(sys, 'stdlib_module_names', new))))
"""


def printed(repo_root, *words):
    return subprocess.run([sys.executable, *words], cwd=repo_root, capture_output=True, text=True, check=True).stdout


def test_all_packages_are_installed(repo_root):
    packages = printed(repo_root, '-c', LIST).split()
    assert {'dualdistill_cli', 'mmdet3d_plugin', 'mmdet3d_plugin.ops.bev_pool'} <= set(packages)
    assert {name.partition('.')[0] for name in packages} == {'dualdistill_cli', 'dualdistill_runtime', 'mmdet3d_plugin'}


def test_it_needs_the_standard_library_alone(repo_root):
    assert printed(repo_root, '-S', '-c', IMPORTED).split() == []
