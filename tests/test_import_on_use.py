"""Importing the package leaves alone what it does not use, and what waits is the real thing at its first use."""

import importlib
import json
import subprocess
import sys

import pytest

from mmdet3d_plugin.import_on_use import import_on_use

WAITING = [
    *('torch._dynamo', 'matplotlib', 'pandas', 'sklearn', 'trimesh', 'scipy.optimize', 'scipy.interpolate', 'numba'),
    *('llvmlite', 'networkx', 'mmdet3d.core.bbox.box_np_ops', 'mmdet3d.core.voxel.voxel_generator'),
]  # fmt: skip
FIRST_USE = f"""
import json, sys
import mmdet3d_plugin
found = dict(imported=[name for name in {WAITING} if name in sys.modules])
from mmdet.core.bbox.assigners import hungarian_assigner
from mmdet.core.visualization import image
from mmdet.models.dense_heads import paa_head
from mmseg.models.backbones import beit
from nuscenes import nuscenes
found['pairs'] = [numbers.tolist() for numbers in hungarian_assigner.linear_sum_assignment([[1, 0], [0, 1]])]
found['half'] = float(beit.interpolate.interp1d([0, 1], [0, 2])(0.5))
found['mixture'] = paa_head.skm.GaussianMixture.__module__
nuscenes.rcParams['font.family'] = 'monospace'
import matplotlib, sklearn.mixture, scipy.optimize
found['font'] = matplotlib.rcParams['font.family']
found['same'] = [paa_head.skm.GaussianMixture is sklearn.mixture.GaussianMixture,
                 type(image.Polygon([(0, 0), (1, 1), (1, 0)])).__module__, scipy.optimize.__file__ is not None]
print(json.dumps(found))
"""
COMPILED = """
import json, sys
import mmdet3d_plugin
import numpy as np
from mmdet3d.core import circle_nms, kitti_eval, nms_bev
from mmdet3d.core.voxel import VoxelGenerator, build_voxel_generator
from mmdet3d.datasets.pipelines import dbsampler, transforms_3d
found = dict(early='numba' in sys.modules)
generator = build_voxel_generator(
    dict(type='VoxelGenerator', voxel_size=[1, 1, 1], point_cloud_range=[0, 0, 0, 4, 3, 2], max_num_points=5))
found['grid'] = [generator.grid_size.tolist(), isinstance(generator, VoxelGenerator)]
found['late'] = 'numba' in sys.modules
found['kept'] = circle_nms(np.array([[0, 0, 3], [1, 0, 2], [5, 0, 1.0]]), 4.0)
points, box = np.array([[0, 0, 0.5], [3, 0, 0.5]]), np.array([[0, 0, 0, 2, 2, 1, 0.0]])
found['inside'] = transforms_3d.box_np_ops.points_in_rbbox(points, box).tolist()
from mmdet3d.core.bbox import box_np_ops
from mmdet3d.core.evaluation.kitti_utils import eval as kitti
from mmdet3d.core.post_processing import box3d_nms
from mmdet3d.datasets.pipelines import data_augment_utils
found['same'] = [dbsampler.box_np_ops.corners_nd is box_np_ops.corners_nd, hasattr(circle_nms, 'py_func'),
                 dbsampler.data_augment_utils.noise_per_box is data_augment_utils.noise_per_box,
                 kitti_eval.__code__ is kitti.kitti_eval.__code__, nms_bev.__code__ is box3d_nms.nms_bev.__code__]
print(json.dumps(found))
"""


def run(code):
    """What a fresh interpreter prints last."""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_package_imports_what_it_uses():
    assert run(FIRST_USE) == dict(
        imported=[], pairs=[[0, 1], [1, 0]], half=1.0, mixture='sklearn.mixture._gaussian_mixture', font=['monospace'],
        same=[True, 'matplotlib.patches', True],
    )  # fmt: skip


def test_what_mmdet3d_compiles_works_when_it_is_used():
    assert run(COMPILED) == dict(
        early=False, grid=[[4, 3, 2], True], late=True, kept=[0, 2], inside=[[True], [False]],
        same=[True] * 5,
    )  # fmt: skip


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Package ``waiting_library`` with a module ``inner``; the function tells what of it has run."""
    folder = tmp_path / 'waiting_library'
    folder.mkdir()
    (folder / '__init__.py').write_text('__version__ = "1.2"\ntable = {}\n')
    (folder / 'inner.py').write_text('class Thing:\n    size = 3\n\n\ndef double(x):\n    return 2 * x\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda: [name for name, module in sys.modules.items()
                   if name.startswith('waiting_library') and getattr(module, '__file__', None)]  # fmt: skip
    for name in [name for name in sys.modules if name.startswith('waiting_library')]:
        del sys.modules[name]


def test_every_form_of_import_waits(library):
    with import_on_use('waiting_library'):
        import waiting_library.inner as inner
        from waiting_library import inner as again
        from waiting_library import table
        from waiting_library.inner import Thing, double
    assert library() == [] and 'waiting_library' not in sys.modules
    assert double(4) == 8 and inner.double(4) == 8 and again.double(4) == 8
    table['a'] = 1
    real = importlib.import_module('waiting_library.inner')
    assert sys.modules['waiting_library'].table == {'a': 1}
    assert inner.Thing is real.Thing and isinstance(real.Thing(), Thing) and Thing.size == 3
    assert type('Child', (real.Thing,), {}) and issubclass(real.Thing, Thing)

    class Child(Thing):
        pass

    assert Child.__mro__[1] is real.Thing
    with pytest.raises(ImportError):
        inner.nothing  # noqa: B018


def test_use_inside_the_block_imports_at_once(library):
    with import_on_use('waiting_library'):
        import waiting_library

        assert library() == []
        assert waiting_library.__version__ == '1.2' and library() == ['waiting_library']
        from waiting_library.inner import double

        assert double.__module__ == 'waiting_library.inner'


def test_module_of_an_imported_package(library):
    import waiting_library

    with import_on_use('waiting_library.inner'):
        from waiting_library.inner import double
    assert library() == ['waiting_library'] and not hasattr(waiting_library, 'inner')
    assert double(1) == 2 and library() == ['waiting_library', 'waiting_library.inner']


def test_imported_or_absent_packages_are_left_alone(library):
    import waiting_library

    with import_on_use('waiting_library', 'no_such_library_anywhere'):
        import waiting_library as again

        with pytest.raises(ModuleNotFoundError):
            import no_such_library_anywhere  # noqa: F401
    assert again is waiting_library


def test_nothing_stays_behind_an_error(library):
    with pytest.raises(RuntimeError), import_on_use('waiting_library'):
        import waiting_library  # noqa: F401

        raise RuntimeError
    assert 'waiting_library' not in sys.modules
    assert not any('import_on_use' in type(finder).__module__ for finder in sys.meta_path)
