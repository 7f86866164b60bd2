"""The runtime needs numpy, onnxruntime and OpenCV: neither torch nor the libraries on top of it, nor this package."""

import subprocess
import sys
import textwrap

import pytest

PROLOGUE = """
    import importlib, importlib.abc, pkgutil, sys

    BLOCKED = {'torch', 'mmcv', 'mmdet', 'mmdet3d', 'mmseg', 'nuscenes', 'mmdet3d_plugin', 'onnx', 'pyquaternion'}

    class Block(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, path=None, target=None):
            if fullname.split('.')[0] in BLOCKED:
                raise ImportError(f'{fullname} is blocked')

    sys.meta_path.insert(0, Block())
"""


def run(repo_root, code, *words):
    """What a fresh interpreter prints in which these libraries cannot be imported."""
    program = textwrap.dedent(PROLOGUE) + textwrap.dedent(code)
    command = [sys.executable, '-c', program, *map(str, words)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_without_torch(repo_root):
    printed = run(
        repo_root,
        """
        import dualdistill_runtime
        for module in pkgutil.iter_modules(dualdistill_runtime.__path__):
            importlib.import_module(f'dualdistill_runtime.{module.name}')
        third = {name.split('.')[0] for name in sys.modules} & {'numpy', 'cv2', 'onnxruntime', *BLOCKED}
        print(*sorted(third))
        """,
    )
    assert printed.split() == ['cv2', 'numpy']  # onnxruntime waits for the first file


def test_the_block_does_block(repo_root):
    with pytest.raises(AssertionError, match='torch is blocked'):
        run(repo_root, 'import torch')


def test_a_missing_onnxruntime_is_one_clear_error(repo_root, tmp_path):
    printed = run(
        repo_root,
        """
        BLOCKED.add('onnxruntime')
        from dualdistill_runtime.detector import open_detector
        try:
            open_detector(sys.argv[1])
        except ImportError as error:
            print(error)
        """,
        tmp_path / 'student.onnx',
    )
    assert 'onnxruntime is not installed' in printed and 'pip install onnxruntime' in printed
