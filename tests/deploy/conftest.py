"""Exported toy students, made once."""

import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from helpers import deploy  # noqa: E402

from mmdet3d_plugin.deploy.export import export_student  # noqa: E402


def _exported(folder, name, student, **options):
    cfg, detector = student
    path = folder / f'{name}.onnx'
    graph = export_student(cfg, detector, path, camera_size=deploy.CAMERA_SIZE, **options)
    return path, detector, graph


@pytest.fixture(scope='session')
def bevdepth(tmp_path_factory):
    """(file, detector, graph) of a toy BEVDepth4D."""
    return _exported(tmp_path_factory.mktemp('onnx'), 'bevdepth', deploy.bevdepth())


@pytest.fixture(scope='session')
def bevformer(tmp_path_factory):
    """(file, detector, graph) of a toy BEVFormer."""
    return _exported(tmp_path_factory.mktemp('onnx'), 'bevformer', deploy.bevformer())


@pytest.fixture
def exported(tmp_path):
    """A call that exports any student."""

    def export(student, **options):
        return _exported(tmp_path, 'student', student, **options)

    return export
