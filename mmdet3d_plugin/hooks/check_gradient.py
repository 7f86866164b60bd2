"""Stop a training that leaves some of its parameters where they are, and say which."""

from collections import defaultdict
from collections.abc import Iterable

from mmcv.parallel import is_module_wrapper
from mmcv.runner import HOOKS, BaseRunner, Hook

_SHOWN = 3


@HOOKS.register_module()
class CheckGradientHook(Hook):
    """Raise when a parameter that should train has got no gradient in the first iterations of this process.

    The optimizer leaves such a parameter alone, and the loss falls all the same: a backbone that stays at its initial
    weights costs days before anybody looks. A gradient of zeros counts as one, since a class without objects gives
    just that. After ``iterations`` the hook does nothing any more.

    Register it with a priority below the optimizer's (``'LOW'``), so that the last iteration's backward pass counts.

    Args:
        iterations: iterations to wait for a gradient. A branch that only some samples reach needs more than one.
        allow: beginnings of parameter names that may stay without one, e.g. ``('student.img_backbone.fc',)``.
    """

    def __init__(self, *, iterations: int = 10, allow: Iterable[str] = ()):
        if iterations < 1:
            raise ValueError(f'CheckGradientHook needs at least 1 iteration, got iterations={iterations}')
        self.iterations = iterations
        self.allow = tuple(allow)
        self._waiting = {}
        self._handles = []

    def before_run(self, runner: BaseRunner) -> None:
        """Listen to every trained parameter."""
        model = runner.model.module if is_module_wrapper(runner.model) else runner.model
        trained = {id(parameter) for group in runner.optimizer.param_groups for parameter in group['params']}
        self._waiting = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and id(parameter) in trained and not name.startswith(self.allow)
        }
        self._trained, self._left = len(self._waiting), self.iterations
        # listened to, as some optimizer hooks clear gradients right after their step
        self._handles = [
            parameter.register_post_accumulate_grad_hook(lambda _, name=name: self._waiting.pop(name, None))
            for name, parameter in self._waiting.items()
        ]

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Count the iterations, and judge after the last one.

        Raises:
            RuntimeError: names the parameters without a gradient, by module.
        """
        if not self._handles:
            return
        self._left -= 1
        if self._left and self._waiting:
            return
        # with several processes a gradient can arrive from the others alone
        waiting = [name for name, parameter in self._waiting.items() if parameter.grad is None]
        self._stop_listening()
        if waiting:
            raise RuntimeError(
                f'{len(waiting)} of {self._trained} trained parameters got no gradient in the first {self.iterations} '
                f'iterations, so they do not train: {_by_module(waiting)}. Find out why the loss does not depend on '
                f'them. If they are not meant to train, freeze them (requires_grad=False), or name them in '
                f'custom_hooks: dict(type="CheckGradientHook", allow=[...]).'
            )

    def after_run(self, runner: BaseRunner) -> None:
        """A run may end before the last iteration."""
        self._stop_listening()

    def _stop_listening(self):
        for handle in self._handles:
            handle.remove()
        self._handles, self._waiting = [], {}


def _by_module(names):
    """'student.img_backbone: 159 (conv1.weight, bn1.weight, bn1.bias, ...); ...', one entry per part of the model."""
    modules = defaultdict(list)
    for name in names:
        parts = name.split('.')
        depth = min(2, len(parts) - 1)
        modules['.'.join(parts[:depth]) or 'model'].append('.'.join(parts[depth:]))
    return '; '.join(
        f'{module}: {len(inside)} ({", ".join(inside[:_SHOWN])}{", ..." if len(inside) > _SHOWN else ""})'
        for module, inside in modules.items()
    )
