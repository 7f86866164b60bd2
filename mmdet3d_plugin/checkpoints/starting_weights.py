"""The weights a run or a test starts from: taken over where they fit and mean the same, and said in one line."""

import functools
import logging
from collections.abc import Mapping
from typing import Any, Callable

from mmcv.parallel import is_module_wrapper
from mmcv.runner import BaseRunner
from torch import Tensor, nn

from .averages import split_averages
from .checkpoint_findings import checkpoint_findings, meaning_findings
from .files import load_strictly, read_checkpoint, read_weights
from .findings import MEANING, judge, tell_unchecked
from .key_fit import TRACKED, KeyFit, compare_keys, count_by_module, describe_misfit, nothing_fits
from .output_meaning import class_prefixes, detector_facts
from .told_by_meta import trained_classes
from .told_by_weights import not_finite
from .weight_names import DISTILL


def load_to_test(model: nn.Module, path: str, config: str, logger: logging.Logger) -> dict[str, Any]:
    """Give a detector the weights of its checkpoint, or refuse.

    Args:
        model: detector as its config builds it, or a distiller.
        path: checkpoint file.
        config: name of the config, for messages.
        logger: told what is odd and what could not be checked.

    Returns:
        meta of the file.

    Raises:
        ValueError: a key does not fit, weights are not finite, or the outputs mean something else than the config says.
    """
    state, meta = read_checkpoint(path)
    load_strictly(model, state, path, config)
    broken = not_finite(state)
    if broken:
        raise ValueError(f'checkpoint {path!r}: {broken}')
    findings = checkpoint_findings(getattr(model, 'student', model), state, meta)
    judge(findings, f'checkpoint {path!r}', MEANING, logger)
    tell_unchecked(findings, f'checkpoint {path!r}', logger)
    return meta


def load_to_start(model: nn.Module, path: str, logger: logging.Logger) -> None:
    """``load_from``: give a model every weight of a checkpoint that fits; the rest stays as initialised and is counted.

    Task heads of other classes are left out. A checkpoint of the same classes in another order is refused, and so is
    one whose boxes follow the convention before mmdet3d 1.0, when the head would be taken over.

    Args:
        model: model, wrapped or not.
        path: checkpoint file or URL.
        logger: told what was taken over and what was not.

    Raises:
        ValueError: nothing fits, or the head that would be taken over means something else.
    """
    bare: Any = model.module if is_module_wrapper(model) else model
    state, meta = read_checkpoint(path)
    load_fitting(bare, state, f'load_from={path!r}', logger, functools.partial(_taken_over, bare, meta))


def load_fitting(
    model: nn.Module,
    state: Mapping[str, Tensor],
    what: str,
    logger: logging.Logger,
    choose: Callable[[KeyFit, str, logging.Logger], set[str]] = lambda fit, what, logger: set(fit.found),
) -> None:
    """Give a model the weights of a state dict that fit, and say in one line what became of all others.

    Args:
        model: model, not wrapped.
        state: bare name -> tensor.
        what: where they come from, first words of the line.
        logger: gets the line.
        choose: (KeyFit, what, logger) -> set of the fitting names to load.

    Raises:
        ValueError: nothing fits.
    """
    fit = compare_keys(model, state)
    if not fit.found:
        raise ValueError(f'{what}: {nothing_fits(fit)}')
    taken = choose(fit, what, logger)
    kept = {name: value for name, value in state.items() if name in taken or name.endswith(TRACKED)}
    own = model.state_dict()
    model.load_state_dict({name: value for name, value in kept.items() if name in own}, strict=False)
    _report(fit, taken, what, logger)


def _taken_over(model, meta, fit, what, logger):
    """Names of the weights that fit and mean the same."""
    taken = set(fit.found)
    of_classes = class_prefixes(model)
    if not any(name.startswith(of_classes) for name in taken):
        return taken
    findings = meaning_findings(model, meta)
    theirs, ours = trained_classes(meta), [name for task in detector_facts(model).get('tasks', ()) for name in task]
    if theirs is None or not ours or sorted(theirs) == sorted(ours):
        judge(findings, what, ('classes', 'boxes by version'), logger)
        tell_unchecked(findings, what, logger)
        return taken
    logger.warning(f'{what}: it detects {theirs}, the config {ours}, so its task heads are not taken over')
    judge([finding for finding in findings if finding.check in ('range', 'settings')], what, (), logger)
    return {name for name in taken if not name.startswith(of_classes)}


def _report(fit, taken, what, logger):
    """One line on what became of every weight of model and file; a warning where more than distillation is left."""
    left = [name for name in (*fit.missing, *fit.found) if name not in taken]
    total = len(fit.found) + len(fit.missing) + len(fit.misshaped)
    parts = [f'{len(taken)} of {total} weights of the model taken over']
    for words, names in (
        ('left as initialised', left),
        ('not taken over as of another shape', list(fit.misshaped)),
        ('in the file alone', [*fit.unexpected, *fit.aside]),
    ):
        parts += [f'{words}: {count_by_module(names)}'] if names else []
    odd = fit.misshaped or any(not name.startswith(DISTILL) for name in left)
    logger.log(logging.WARNING if odd else logging.INFO, f'{what}: {"; ".join(parts)}')


def load_to_resume(runner: BaseRunner, path: str) -> dict[str, Any]:
    """Give a run the weights it had when it wrote a checkpoint, averages of an EMA hook included.

    Args:
        runner: hooks registered, not yet run.
        path: checkpoint file.

    Returns:
        all that the file holds.

    Raises:
        ValueError: the file is of another model, or its outputs mean something else than the config says.
    """
    model = runner.model.module if is_module_wrapper(runner.model) else runner.model
    state, meta, content = read_weights(path)
    both = split_averages(state, meta)
    latest = state if both is None else both.latest
    fit = compare_keys(model, latest)
    misfit = describe_misfit(fit) if fit.found else nothing_fits(fit)
    if misfit:
        raise ValueError(
            f'cannot resume from {path}: it is of another model than the config: {misfit}. To start anew from the '
            f'weights that fit: --cfg-options load_from={path}'
        )
    judge(meaning_findings(model, meta), f'cannot resume from {path}', MEANING, runner.logger)
    model.load_state_dict(latest, strict=False)
    _hand_over_averages(runner, both, path)
    return content


def _hand_over_averages(runner, both, path):
    """Let the run's EMA hooks go on from the averages of a file, and say where one of the two is not there."""
    hooks = [hook for hook in runner.hooks if hasattr(hook, 'go_on_from')]
    for hook in hooks:
        hook.go_on_from(both)
    if both is not None and not both.evidence:
        runner.logger.warning(f'{path} has averages of an EMA hook: {both}')
    if both is not None and not hooks:
        runner.logger.warning(f'{path} has averages of an EMA hook, this run has no such hook: they are dropped')
    if both is None and hooks:
        runner.logger.warning(f'{path} has no averages: the EMA hook starts averaging from its weights')
