"""Files with two sets of weights: the latest ones and their moving average, as mmcv's and mmdet's EMA hooks save them.

Beside ``tail.weight`` such a file has ``ema_tail_weight``. Which of them is the average depends on when it was saved:
the hooks swap both sets after an epoch and back before the next one. A checkpoint hook that runs before the EMA hook
(mmcv's order unless the config gives a priority) saves averages under ``ema_``. One that runs after it, as this code's
does, and the evaluation that saves the best checkpoint, save averages under the weights' own names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable

from mmcv.runner import get_priority
from torch import Tensor

from .config_text import look_up, read_literals

PREFIX = 'ema_'
# entry of the meta of files written here: under which names the averages are
MARK = 'averaged_weights'
OWN, ASIDE = 'under their own names', f'under {PREFIX}'


@dataclass(frozen=True)
class Averages:
    """Both sets of weights of a file.

    Attributes:
        latest: name -> tensor, what the optimizer left.
        averaged: name -> tensor, what the EMA hook evaluates; entries that it does not average are the latest.
        place: :data:`OWN` or :data:`ASIDE`, where the averages were.
        evidence: how that is known, for a log line; None where it is assumed.
    """

    latest: dict[str, Tensor]
    averaged: dict[str, Tensor]
    place: str
    evidence: str | None

    def __str__(self) -> str:
        known = self.evidence or "ASSUMED, as nothing in the file tells; mmcv's hooks do so unless given a priority"
        return f'they are {self.place} ({known})'


def split_averages(state: dict[str, Tensor], meta: dict[str, Any]) -> Averages | None:
    """Both sets of weights of a file, None where it has one.

    Args:
        state: name -> tensor, bare names.
        meta: of the file.
    """
    partners = {}
    for name in state:
        flat = name.replace('.', '_')
        for candidate in (f'{PREFIX}{flat}', f'{PREFIX}student_{flat}'):  # in a distiller the hook sees the prefix
            if candidate in state:
                partners[name] = candidate
    if not partners:
        return None
    aside = set(partners.values())
    own = {name: value for name, value in state.items() if name not in aside}
    other = {name: state[partners[name]] if name in partners else value for name, value in own.items()}
    place, evidence = _place(meta)
    return Averages(*((own, other) if place == ASIDE else (other, own)), place, evidence)


def use_averages(
    state: dict[str, Tensor], meta: dict[str, Any], path: str, log: Callable[[str], object]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State dict and meta of the averaged weights; those of a file with one set as they are.

    Args:
        state: name -> tensor, bare names.
        meta: of the file.
        path: the file, for the log line.
        log: gets one line when there are two sets.
    """
    both = split_averages(state, meta)
    if both is None:
        return state, meta
    log(f'checkpoint {path!r}: the averaged weights of its EMA hook are used; {both}')
    return both.averaged, {**meta, MARK: OWN}


def _place(meta):
    """(where the averages are, how that is known)."""
    if meta.get(MARK) in (OWN, ASIDE):
        return meta[MARK], 'by its meta'
    config = read_literals(str(meta.get('config') or ''))
    hooks = config.get('custom_hooks')
    hooks = [*(hooks if isinstance(hooks, list) else []), config.get('ema_config')]
    hooks = [hook for hook in hooks if isinstance(hook, dict)]
    priority = next((_priority(hook) for hook in hooks if str(hook.get('type')).endswith('EMAHook')), None)
    if priority is None:
        return ASIDE, None
    if look_up(config, 'runner', 'type') == 'IterBasedRunner':
        return ASIDE, 'a run by iterations never swaps'
    if _by_evaluation(meta):
        return (OWN if priority <= get_priority('LOW') else ASIDE), 'saved by the evaluation'
    ours = meta.get('resume') if isinstance(meta.get('resume'), dict) else None
    within = look_up(config, 'checkpoint_config', 'by_epoch') is False if ours is None else ours.get('inner_iter')
    if within:
        return ASIDE, 'saved within an epoch'
    # mmcv saves among hooks of normal priority, this code after them
    saving = get_priority('NORMAL' if ours is None else 'BELOW_NORMAL')
    return (OWN if priority < saving else ASIDE), "by the order of the hooks in its config's text"


def _priority(hook):
    try:
        return get_priority(hook.get('priority', 'NORMAL'))
    except (KeyError, TypeError, ValueError):
        return None


def _by_evaluation(meta):
    """Whether the evaluation saved the file: it notes the name, which ends in the epoch, before it saves."""
    messages = meta.get('hook_msgs')
    best = messages.get('best_ckpt') if isinstance(messages, dict) else None
    found = re.search(r'_epoch_(\d+)\.pth$', str(best))
    return found is not None and int(found[1]) == meta.get('epoch')
