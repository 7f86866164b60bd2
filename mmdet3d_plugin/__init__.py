"""DualDistill: LiDAR-to-camera BEV distillation as a plugin for mmdet3d. Import this package before mmdet3d."""

from . import garbage_collection

with garbage_collection.paused():
    from . import compat

    compat.apply()

    with compat.unused_libraries_import_on_use():
        from . import datasets, distill, hooks, models, ops
        from .engine.api import build_model, detect, load_student

    from .checkpoints.files import register_mmcv_loaders

    register_mmcv_loaders()

__version__ = '0.1.0'
