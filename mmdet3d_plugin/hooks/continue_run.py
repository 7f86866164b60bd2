"""The part of resuming that has to wait until the other hooks are set up, or until the data loader is back in place."""

from contextlib import contextmanager

import torch
from mmcv.parallel import is_module_wrapper
from mmcv.runner import BaseRunner, EvalHook, Hook, IterTimerHook, LoggerHook

from .random_state import gather_random_states, set_random_state
from .resumable_checkpoint import ResumableCheckpointHook, evaluations_due


class ContinueRunHook(Hook):
    """Bring a resumed run exactly to where its checkpoint was written. Register it last (``priority='LOWEST'``).

    Args:
        weights: State dict of the checkpoint. It is loaded again after the other hooks' ``before_run``, which may add
            buffers (EMA), and again in the middle of an epoch, whose start may have changed weights.
        saved: ``meta['resume']`` of the checkpoint; empty for files that other code wrote.
    """

    def __init__(self, weights: dict[str, torch.Tensor], saved: dict[str, object]):
        self.weights = weights
        self.saved = saved

    def before_run(self, runner):
        """Load once more, make up for an evaluation that the checkpoint did not see, and set the generators."""
        for hook in runner.hooks:
            if isinstance(hook, EvalHook):
                hook.initial_flag = False  # `evaluation.start` asks for one before training, not before resuming
        self._load(runner)
        self._set_gradients(runner)
        if self.evaluation_is_due(runner):
            self._evaluate(runner)
        skipped = self._batches_to_skip(runner)
        if skipped:
            runner.continue_within_epoch(skipped, self._in_epoch)
        else:
            self._set_generators(runner)

    def evaluation_is_due(self, runner: BaseRunner) -> bool:
        """Whether the run was stopped between saving and evaluating."""
        if self.saved.get('evaluated', True):
            return False
        with _at_saved_point(runner, self.saved) as by_epoch:
            return bool(evaluations_due(runner, by_epoch))

    def _batches_to_skip(self, runner):
        if not self.saved.get('inner_iter'):
            return 0
        before, now = self.saved['batches'], len(runner.data_loader)
        if before != now:
            runner.logger.warning(
                f'an epoch had {before} batches when the checkpoint was written, now it has {now}: the run goes on at '
                f'the same share of the epoch, with other data than the uninterrupted run'
            )
        return runner.batches_to_skip(self.saved)

    def _in_epoch(self, runner):
        """The data loader is back where the checkpoint was written, within an epoch."""
        self._load(runner)
        self._set_generators(runner)
        for name, (values, counts) in self.saved.get('log', {}).items():
            runner.log_buffer.val_history[name] = list(values)
            runner.log_buffer.n_history[name] = list(counts)
        for hook in runner.hooks:
            if isinstance(hook, IterTimerHook):
                hook.before_epoch(runner)  # the time it took to get here is not the next iteration's
            if isinstance(hook, ResumableCheckpointHook) and not hook.by_epoch:
                hook.point_at(runner)

    def _load(self, runner):
        _unwrapped(runner).load_state_dict(self.weights, strict=False)

    def _evaluate(self, runner):
        with _at_saved_point(runner, self.saved) as by_epoch:
            self._set_generators(runner)
            runner.logger.info('the checkpoint has not been evaluated yet: evaluating it now')
            for hook in evaluations_due(runner, by_epoch):
                hook._do_evaluate(runner)
            for hook in runner.hooks:
                if isinstance(hook, ResumableCheckpointHook):
                    hook.point_at(runner)
                    hook.save_again(runner)
            for hook in runner.hooks:
                if isinstance(hook, LoggerHook):
                    hook.after_train_epoch(runner)
        # the evaluation has drawn random numbers; one by iteration starts the averages of the log anew
        self.saved = dict(self.saved, evaluated=True, random_states=gather_random_states(), log={})

    def _set_generators(self, runner):
        states = self.saved.get('random_states', [])
        if len(states) == runner.world_size:
            set_random_state(states[runner.rank])
        elif states or self.saved.get('inner_iter'):
            runner.logger.warning(
                f'the checkpoint holds the random state of {len(states)} process(es), this run has '
                f'{runner.world_size}: it goes on with other random numbers than the uninterrupted run'
            )

    def _set_gradients(self, runner):
        gradients = self.saved.get('gradients')
        if not gradients:
            return
        for name, parameter in _unwrapped(runner).named_parameters():
            if name in gradients:
                parameter.grad = gradients[name].to(parameter.device).clone()
        for hook in runner.hooks:
            if hasattr(hook, 'cumulative_iters') and not hook.initialized:
                iteration, runner._iter = runner._iter, 0  # mmcv warns that these gradients are lost: they are not
                hook._init(runner)
                runner._iter = iteration


def _unwrapped(runner):
    return runner.model.module if is_module_wrapper(runner.model) else runner.model


@contextmanager
def _at_saved_point(runner, saved):
    """Counters as the hooks saw them when the checkpoint was written; yields whether that was at an epoch's end."""
    counters = runner._epoch, runner._iter, runner._inner_iter, runner.mode, runner._stage
    by_epoch = runner.step_back(saved)
    for hook in runner.hooks:
        if isinstance(hook, EvalHook) and hasattr(hook, '_decide_interval'):
            hook._decide_interval(runner)
    try:
        yield by_epoch
    finally:
        runner._epoch, runner._iter, runner._inner_iter, runner.mode, runner._stage = counters
