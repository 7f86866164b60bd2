"""Every gap between the pinned OpenMMLab stack and today's Python packages, and one fault of Python, in one file.

mmcv-full 1.7.2, mmdet 2.28.2 and mmdet3d 1.0.0rc6 were written for older numpy, torchvision and torch. Each function
below closes one gap and says why it exists; :func:`apply` runs them in the right order. ``import mmdet3d_plugin`` calls
it, so nothing else in the code base mentions a version.
"""

import contextlib
import functools
import os
import sys
import time
import types
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from packaging.version import InvalidVersion, Version

from .import_on_use import import_on_use

# mmdet3d 1.0.0rc6 accepts mmcv up to this version; 1.7.1 and 1.7.2 only fix bugs.
_NEWEST_MMCV_MMDET3D_ACCEPTS = '1.7.0'

# torch.serialization.safe_globals, with which checkpoints are read without running code of theirs, came with it.
_OLDEST_TORCH = '2.5'

# It turned boxes from (w, l, h, clockwise yaw) to (l, w, h, counter-clockwise yaw).
_FIRST_MMDET3D_OF_TODAYS_BOXES = '1.0.0rc0'

# Warnings that ask for nothing you could do, by the start of their text, and why nobody has to see them.
_OF_NO_USE = {
    'On January 1, 2023, MMCV will release v2': 'the pinned mmcv-full is the last one of its kind, and stays',
    'Setting (OMP|MKL)_NUM_THREADS environment variable': 'done on purpose; the log says how many threads a run has',
}

# Libraries that mmdet, mmdet3d and the devkit import for drawings, other data sets and other assigners.
_LIBRARIES_NO_RUN_USES = ('matplotlib', 'pandas', 'scipy.interpolate', 'scipy.optimize', 'sklearn', 'trimesh')

# Functions of mmdet3d that numba compiles, for KITTI and for steps and heads that this package has in torch or numpy.
# None of these modules registers anything. numba itself cannot wait: its decorators run when a module is imported.
_MODULES_THAT_IMPORT_NUMBA = (
    'mmdet3d.core.bbox.box_np_ops',
    'mmdet3d.core.evaluation.kitti_utils',
    'mmdet3d.core.post_processing.box3d_nms',
    'mmdet3d.core.voxel.voxel_generator',
    'mmdet3d.datasets.pipelines.data_augment_utils',
)

# Pythons whose forked processes reset that lock, see let_forked_processes_start; by minor version, the first release.
_FORKS_WELL = {(3, 9): 20, (3, 10): 15, (3, 11): 10}

_NUMPY_ALIASES = {'int': int, 'float': float, 'bool': bool, 'object': object, 'long': int}


@functools.cache
def let_forked_processes_start():
    """Keep data loaders from standing still for ever at the start of an epoch, with Python up to 3.11.9.

    A thread of torch, such as gloo's after a collective, enters Python under a lock of the interpreter. A worker that
    is forked just then gets the lock, held by a thread that it does not have, and waits for it. This is
    https://github.com/python/cpython/issues/112275. A short pause before each fork lets such threads come in, and
    asking for all threads' frames takes that lock once, so one that still holds it is waited for. What is left is a
    thread that takes it between that and the fork (docs/versions.md has figures).
    """
    if sys.version_info[2] < _FORKS_WELL.get(sys.version_info[:2], 0):
        pause = time.sleep  # the real one, also where a test replaces it later

        def wait_for_threads_on_their_way_in():
            pause(0.01)
            sys._current_frames()

        os.register_at_fork(before=wait_for_threads_on_their_way_in)


def require_torch():
    """Refuse a torch that lacks what this package uses.

    Raises:
        ImportError: torch is older than ``_OLDEST_TORCH``.
    """
    if Version(torch.__version__).release < Version(_OLDEST_TORCH).release:
        raise ImportError(f'mmdet3d_plugin needs torch >= {_OLDEST_TORCH}, found {torch.__version__}: upgrade torch')


def leave_out_warnings_of_no_use():
    """Drop other packages' warnings of :data:`_OF_NO_USE`; ``python -W default`` and PYTHONWARNINGS bring them back."""
    if not sys.warnoptions:
        for text in _OF_NO_USE:
            warnings.filterwarnings('ignore', text, UserWarning)


def restore_numpy_aliases():
    """Give numpy back ``np.int`` and its kin (removed in 1.24), which mmdet3d and nuscenes code still use."""
    for name, builtin in _NUMPY_ALIASES.items():
        if name not in np.__dict__:
            setattr(np, name, builtin)


def stand_in_for_torchvision():
    """Satisfy mmcv's unconditional ``import torchvision`` when there is none, or none that matches the installed torch.

    mmcv 1.x needs the module only to list ``torchvision://`` checkpoint names. The stand-in lists none, so such a name
    fails with mmcv's own "not a valid model" error instead of an import error at start-up. Only a torchvision that is
    installed and broken is warned of: set-up installs none.

    Returns:
        bool: True when the stand-in was installed.
    """
    try:
        import torchvision  # noqa: F401
    except Exception as error:  # a mismatched binary raises RuntimeError or OSError, not ImportError
        for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
            del sys.modules[name]
        stand_in = types.ModuleType('torchvision')
        stand_in.__version__ = '0.0.0'
        stand_in.__path__ = []  # a package without submodules: ``from torchvision.ops import x`` raises ImportError
        stand_in.models = types.ModuleType('torchvision.models')
        stand_in.models.__path__ = []
        sys.modules['torchvision'] = stand_in
        sys.modules['torchvision.models'] = stand_in.models
        if not (isinstance(error, ModuleNotFoundError) and error.name == 'torchvision'):
            warnings.warn(
                f'torchvision cannot be imported ({error}); using a stand-in. Everything works except '
                f'"torchvision://" checkpoint names: give a file path instead.',
                stacklevel=3,
            )
        return True
    return False


def import_mmdet3d_past_version_gate():
    """Import mmdet3d although it refuses mmcv newer than 1.7.0.

    The gate compares version strings at import and nothing else. The version is shown as the newest accepted one while
    mmdet3d is imported and restored right after, also when the import fails.
    """
    import mmcv

    true_version = mmcv.__version__
    if mmcv.utils.digit_version(true_version) > mmcv.utils.digit_version(_NEWEST_MMCV_MMDET3D_ACCEPTS):
        mmcv.__version__ = _NEWEST_MMCV_MMDET3D_ACCEPTS
    try:
        import mmdet3d  # noqa: F401
    finally:
        mmcv.__version__ = true_version


def let_data_containers_reach_cuda():
    """Copy data containers to the GPU through streams made here.

    mmcv asks torch's private ``_get_stream`` with a device index; since torch 2.1 it takes a ``torch.device``.
    """
    from mmcv.parallel import _functions

    @functools.cache
    def background_stream(index):
        return torch.cuda.Stream(index)

    _functions._get_stream = background_stream


def let_distributed_model_run_forward():
    """mmcv's distributed wrapper reads a flag that torch 2.1 removed from its parent class; it was always off here."""
    from mmcv.parallel import MMDistributedDataParallel

    if not hasattr(torch.nn.parallel.DistributedDataParallel, '_use_replicated_tensor_module'):
        MMDistributedDataParallel._use_replicated_tensor_module = False


def drop_operator_namespace_made_by_mmcv():
    """Forget the name ``torch.ops._check_balance``, which is no namespace of operators.

    Looking for functions to replace for NPUs, mmcv asks every torch module for that name, and ``torch.ops`` makes a
    namespace of whatever it is asked for. torch 2.6 and 2.7 then fail to compile or export any model: they go through
    the operators of all namespaces.
    """
    import mmcv.device  # noqa: F401  (here it is made)

    if vars(torch.ops).pop('_check_balance', None) is not None:
        torch.ops._dir.remove('_check_balance')


def export_to_onnx(model, inputs, path, **options):
    """Write an ONNX file by tracing, the one exporter that torch 2.5 to 2.13 have alike.

    The exporter by ``torch.export`` is young in 2.5 and another one in each release since. From 2.9 on it is the
    default, and ``dynamo=False`` asks for the other.

    Args:
        model (nn.Module): In evaluation mode.
        inputs (tuple[Tensor]): Example.
        path (str | Path): File.
        **options: Of ``torch.onnx.export``.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused attention has no ONNX operator
    try:
        torch.onnx.export(model, inputs, str(path), dynamo=False, **options)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """``torch.no_grad()`` for a pass through trained weights that the same autocast region uses again with gradients.

    Autocast keeps the low-precision copy it makes of a weight until the region ends. Below torch 2.9 or so it hands a
    copy made without gradients to later passes as well, and the weight then gets no gradient at all, in silence.
    Nothing is kept here, and where autocast is off nothing changes.
    """
    keeps_copies = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_autocast_cache_enabled(keeps_copies)


def wrote_old_boxes(version):
    """Whether an mmdet3d of that version used boxes of w, l, h and clockwise yaw; None for a version that says nothing.

    Args:
        version (str | None): ``mmdet3d_version`` in a checkpoint's meta.
    """
    try:
        return Version(str(version)) < Version(_FIRST_MMDET3D_OF_TODAYS_BOXES)
    except InvalidVersion:
        return None


def unused_libraries_import_on_use():
    """Context in which to import mmdet3d's parts: what it and the devkit import and no run uses waits for its use."""
    return import_on_use(*_LIBRARIES_NO_RUN_USES, *_MODULES_THAT_IMPORT_NUMBA)


def constant_when_compiled(function):
    """Mark a function whose result ``torch.compile`` may take for a constant.

    ``torch.compiler.assume_constant_result`` sets the same mark, and imports the whole compiler to do so, a fifth of
    the time that importing this package takes.
    """
    function._dynamo_marked_constant = True
    return function


def advise_on_import_order():
    """Say what to do when mmdet3d was imported, or tried, before this package prepared the ground."""
    mmdet3d = sys.modules.get('mmdet3d')
    if mmdet3d is not None and not getattr(mmdet3d, '_dualdistill_compat', False):
        problem = 'mmdet3d was imported before mmdet3d_plugin'
    elif mmdet3d is None and 'mmdet3d.version' in sys.modules:
        problem = 'an earlier "import mmdet3d" failed (it refuses mmcv newer than 1.7.0 when imported on its own)'
    else:
        return
    warnings.warn(
        f'{problem}. Import mmdet3d_plugin first (or set custom_imports in the config): it prepares numpy, '
        f'torchvision and the mmcv version check that mmdet3d relies on.',
        stacklevel=4,
    )


def apply():
    """Close every gap, then import mmdet3d. Safe to call more than once."""
    leave_out_warnings_of_no_use()
    require_torch()
    let_forked_processes_start()
    advise_on_import_order()
    restore_numpy_aliases()
    stand_in_for_torchvision()
    let_data_containers_reach_cuda()
    let_distributed_model_run_forward()
    drop_operator_namespace_made_by_mmcv()
    import_mmdet3d_past_version_gate()
    sys.modules['mmdet3d']._dualdistill_compat = True
