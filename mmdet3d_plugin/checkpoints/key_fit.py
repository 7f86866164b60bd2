"""How the entries of a state dict and the weights of a model fit, and short words for where they do not."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from .weight_names import DISTILL

# counters of batch norm layers: files of old torch versions lack them, and nothing here depends on them
TRACKED = 'num_batches_tracked'
_EXAMPLES, _MODULES = 3, 8


@dataclass(frozen=True)
class KeyFit:
    """Names of a model and of a file side by side; counters of batch norm layers are left out.

    Attributes:
        found: in both, of one shape.
        missing: in the model alone.
        unexpected: in the file alone.
        misshaped: name -> (shape in the file, shape in the model).
        aside: what a distiller keeps beside its student, in a file for a model that is none.
    """

    found: list[str]
    missing: list[str]
    unexpected: list[str]
    misshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    aside: list[str]


def compare_keys(model: nn.Module, state: Mapping[str, Tensor]) -> KeyFit:
    """Compare a model with a state dict, by name and shape."""
    own = {name: value.shape for name, value in model.state_dict().items() if not name.endswith(TRACKED)}
    given = {name: value.shape for name, value in state.items() if not name.endswith(TRACKED)}
    distils = any(name.startswith(DISTILL) for name in own)
    odd = [name for name in given if name not in own]
    aside = [name for name in odd if name.startswith(DISTILL) and not distils]
    return KeyFit(
        found=[name for name in own if given.get(name) == own[name]],
        missing=[name for name in own if name not in given],
        unexpected=[name for name in odd if name not in set(aside)],
        misshaped={
            name: (tuple(shape), tuple(own[name])) for name, shape in given.items() if own.get(name, shape) != shape
        },
        aside=aside,
    )


def describe_misfit(fit: KeyFit) -> str:
    """What does not fit, by kind and top-level module, with counts and a few names; empty when all fits."""
    shapes = [f'{name}: {theirs} in the file, {ours} in the model' for name, (theirs, ours) in fit.misshaped.items()]
    kinds = {'missing': fit.missing, 'unexpected': fit.unexpected, 'of another shape': shapes}
    return '; '.join(entry for kind, names in kinds.items() if names for entry in _by_module(kind, names))


def _by_module(kind, names):
    """'pts_neck: 12 missing (a, b, c, ...)', one entry per top-level module; many modules end in their number."""
    modules = group_by_module(names)
    entries = [
        f'{module}: {len(inside)} {kind} ({", ".join(inside[:_EXAMPLES])}{", ..." if len(inside) > _EXAMPLES else ""})'
        for module, inside in list(modules.items())[:_MODULES]
    ]
    rest = list(modules.values())[_MODULES:]
    return entries + ([f'{sum(map(len, rest))} {kind} in {len(rest)} more modules'] if rest else [])


def group_by_module(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by top-level module, in their order."""
    modules = defaultdict(list)
    for name in names:
        modules[name.split('.', 1)[0]].append(name)
    return dict(modules)


def count_by_module(names: Iterable[str]) -> str:
    """'img_neck 12, pts_bbox_head 4', many modules shortened."""
    modules = group_by_module(names)
    shown = ', '.join(f'{module} {len(inside)}' for module, inside in list(modules.items())[:_MODULES])
    return shown + (f', and {len(modules) - _MODULES} more modules' if len(modules) > _MODULES else '')


def nothing_fits(fit: KeyFit) -> str:
    """The message for a file of which no entry has a place in the model."""
    theirs = count_by_module([*fit.unexpected, *fit.misshaped, *fit.aside]) or 'none'
    return f'none of its weights fits: it has {theirs}, the model has {count_by_module([*fit.missing, *fit.misshaped])}'
