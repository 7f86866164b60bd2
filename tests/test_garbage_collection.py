"""The collector pauses while the package is imported, and is afterwards as it was before."""

import gc
import subprocess
import sys

import pytest

from mmdet3d_plugin import garbage_collection

COUNT = """
import gc
collections = []
gc.callbacks.append(lambda phase, info: collections.append(phase))
import mmdet3d_plugin
print(gc.isenabled(), len(collections) < 20)
"""


@pytest.fixture(autouse=True)
def collector():
    """Whatever a test leaves, the next one finds the collector on."""
    yield
    gc.enable()


@pytest.mark.parametrize('was_on', [True, False])
def test_it_is_as_before_also_after_an_error(was_on):
    (gc.enable if was_on else gc.disable)()
    with garbage_collection.paused():
        assert not gc.isenabled()
    assert gc.isenabled() is was_on
    with pytest.raises(ImportError), garbage_collection.paused():
        raise ImportError
    assert gc.isenabled() is was_on


def test_importing_the_package_collects_hardly_anything(repo_root):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', COUNT], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['True', 'True']
