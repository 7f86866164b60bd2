"""Checkpoint layout of a distiller: student keys bare, everything else under ``distill.``.

``torch.nn.Module`` and ``mmcv.runner`` walk modules each in their own way, but both call the two hooks below.
"""

from typing import Any

from torch import nn

from .weight_names import DISTILL, STUDENT


def _rename(mapping, rename):
    """Rename the keys of a dict in place, keeping their order."""
    renamed = [(rename(key), value) for key, value in mapping.items()]
    mapping.clear()
    mapping.update(renamed)


def strip_student_prefix(module: nn.Module, state_dict: dict[str, Any], prefix: str, local_metadata: Any) -> None:
    """State dict hook: ``student.img_backbone...`` is saved as ``img_backbone...``."""
    old = prefix + STUDENT
    _rename(state_dict, lambda key: prefix + key[len(old) :] if key.startswith(old) else key)
    metadata = getattr(state_dict, '_metadata', None)
    if metadata is not None:
        metadata.pop(prefix + STUDENT[:-1], None)  # the student itself would collide with the distiller
        _rename(metadata, lambda key: prefix + key[len(old) :] if key.startswith(old) else key)


def add_student_prefix(
    state_dict: dict[str, Any],
    prefix: str,
    local_metadata: Any,
    strict: bool,
    missing_keys: list[str],
    unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    """Load pre-hook, the inverse of :func:`strip_student_prefix`: a plain student's checkpoint loads as well."""

    def rename(key):
        if not key.startswith(prefix) or key.startswith((prefix + DISTILL, prefix + STUDENT)):
            return key
        return prefix + STUDENT + key[len(prefix) :]

    _rename(state_dict, rename)
    metadata = getattr(state_dict, '_metadata', None)
    if metadata is not None:
        # added, not renamed: the caller's state dict shares this object
        metadata.update({rename(key): value for key, value in list(metadata.items()) if key})


def register_student_key_hooks(module: nn.Module) -> None:
    """Give ``module``, whose attribute ``student`` is the student, the layout of this file."""
    module._register_state_dict_hook(strip_student_prefix)
    module._register_load_state_dict_pre_hook(add_student_prefix)
