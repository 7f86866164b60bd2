"""Back ends of the compiled operators, forced one after the other."""

import pytest

from mmdet3d_plugin.ops.backend import ENVIRONMENT_VARIABLE
from mmdet3d_plugin.ops.extension import ExtensionUnavailable, load_extension


@pytest.fixture(scope='session')
def cpp_operators():
    """The C++ library, loaded; skips where it cannot be compiled."""
    try:
        load_extension('cpp')
    except ExtensionUnavailable as error:
        pytest.skip(f'no C++ operators: {error}')


@pytest.fixture(params=['reference', 'cpp'])
def ops_backend(request, monkeypatch):
    """Name of the back end that ``bev_pool`` is made to use."""
    if request.param == 'cpp':
        request.getfixturevalue('cpp_operators')
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, request.param)
    return request.param
