"""Where a checkpoint file keeps its weights, and the names they have without wrappers around the detector."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

# a distiller saves its student under bare names and everything else under this prefix
STUDENT = 'student.'
DISTILL = 'distill.'

# mmcv's place first, then those of other trainers
_PLACES = ('state_dict', 'model_state_dict', 'model', 'module', 'net', 'network', 'weights')
# DataParallel and DistributedDataParallel, torch.compile, and a distiller whose keys were not saved by its own layout
_WRAPPERS = ('module.', '_orig_mod.', STUDENT)
_LIGHTNING = 'model.'  # its attribute for the network; a detector may have one too, so only when every name starts so


def find_weights(content: Any, path: str) -> dict[str, Tensor]:
    """The state dict in the content of a file, names as in the file.

    Args:
        content: what the file holds.
        path: its name, for the message.

    Returns:
        name -> tensor.

    Raises:
        ValueError: there is none; the message lists what there is instead.
    """
    if isinstance(content, Mapping):
        candidates: list[Any] = [*(content.get(place) for place in _PLACES), content]
        for candidate in candidates:
            if _is_state(candidate):
                return dict(candidate)
    found = ', '.join(map(str, list(content)[:8])) if isinstance(content, Mapping) else type(content).__name__
    raise ValueError(
        f'checkpoint {path!r} holds no state_dict of tensors, but {found or "nothing"}: weights are looked for under '
        f'{", ".join(_PLACES)}, or bare'
    )


def _is_state(value):
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(item, Tensor) for name, item in value.items())
    )


def bare_names(state: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """A state dict under the names that the detector itself gives its weights.

    Args:
        state: name -> tensor; names may start with ``module.``, ``student.`` and the like, also several of them.
        path: the file, for the message.

    Raises:
        ValueError: two entries come to bear one name.
    """
    names = {name: bare_name(name) for name in state}
    if all(name.startswith(_LIGHTNING) for name in names.values()):
        names = {name: bare_name(bare[len(_LIGHTNING) :]) for name, bare in names.items()}
    bare = {names[name]: value for name, value in state.items()}
    if len(bare) < len(state):
        seen, twice = set(), []
        for name in names.values():
            twice += [name] if name in seen else []
            seen.add(name)
        raise ValueError(
            f'checkpoint {path!r} holds {len(twice)} weights twice, with and without a prefix, {twice[0]} first: '
            f'remove one set'
        )
    return bare


def bare_name(name: str) -> str:
    """The name that the detector itself gives a weight, without what wrappers put before it."""
    while name.startswith(_WRAPPERS):
        name = name[len(next(wrapper for wrapper in _WRAPPERS if name.startswith(wrapper))) :]
    return name
