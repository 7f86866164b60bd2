"""Checkpoints from which a run goes on exactly: in the middle of an epoch, and with the score of its evaluation."""

from mmcv.parallel import is_module_wrapper
from mmcv.runner import HOOKS, BaseRunner, CheckpointHook, EvalHook, Hook, IterBasedRunner, LoggerHook

from .epoch_seed import EpochSeedHook
from .random_state import gather_random_states


def evaluations_due(runner: BaseRunner, by_epoch: bool, priority: int = 0) -> list[EvalHook]:
    """Evaluation hooks that evaluate at this point of the run, of those with at most this priority.

    Args:
        runner: In the middle of its ``after_train_epoch`` or ``after_train_iter`` hooks.
        by_epoch: Which of the two.
        priority: Of the asking hook (a number, higher comes later): hooks before it have evaluated already.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, EvalHook) and hook.by_epoch == by_epoch]
    return [hook for hook in hooks if hook.priority >= priority and hook._should_evaluate(runner)]


def half_accumulated(runner: BaseRunner, trained: int) -> dict[str, object]:
    """Gradients that wait for their optimizer step after ``trained`` iterations, by parameter name, on the CPU."""
    if not any(trained % getattr(hook, 'cumulative_iters', 1) for hook in runner.hooks):
        return {}
    model = runner.model.module if is_module_wrapper(runner.model) else runner.model
    return {name: p.grad.detach().cpu().clone() for name, p in model.named_parameters() if p.grad is not None}


def log_tail(runner: BaseRunner) -> dict[str, list]:
    """What the next line of the log will average over: the last values of every term, with their counts."""
    length = max((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), default=1)
    buffer = runner.log_buffer
    return {
        name: [[float(value) for value in values[-length:]], [int(n) for n in buffer.n_history[name][-length:]]]
        for name, values in buffer.val_history.items()
    }


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """mmcv's checkpoint hook, for the runners of ``engine.runners``. Takes the same settings.

    A checkpoint also holds what the next iteration depends on besides weights, optimizer and counters: the random
    generators of every process, half-accumulated gradients, and what the next log line averages over. Checkpoints by
    iteration are ``iter_<n>.pth`` with every runner.

    It is written before the evaluation, so that a failing evaluation costs no training, and says whether one is due.
    Register it after the hooks that change weights (EMA) and before the evaluation: ``priority='BELOW_NORMAL'``, and a
    :class:`SaveScoreHook` after the evaluation.
    """

    name = None
    saved_iter = None

    def before_run(self, runner):
        """Settle folder and file names.

        Raises:
            ValueError: The settings would never save anything, or checkpoints that cannot be resumed exactly.
        """
        super().before_run(runner)
        if self.by_epoch and isinstance(runner, IterBasedRunner):
            raise ValueError(
                'checkpoint_config.by_epoch=True never saves anything with an IterBasedRunner, which has no epochs: '
                'leave by_epoch out, and give the interval in iterations'
            )
        if not self.by_epoch and not any(isinstance(hook, EpochSeedHook) for hook in runner.hooks):
            raise ValueError(
                "checkpoints in the middle of an epoch (by_epoch=False) need dict(type='EpochSeedHook') in "
                'custom_hooks: without it the data order of a started epoch cannot be restored'
            )
        self.args.setdefault('filename_tmpl', 'epoch_{}.pth' if self.by_epoch else 'iter_{}.pth')

    def point_at(self, runner):
        """Take the checkpoint of this point of the run as written, by this process or the one that it continues."""
        position = runner.position()
        self.name = self.args['filename_tmpl'].format(position['epoch' if self.by_epoch else 'iter'])
        self.saved_iter = position['iter']
        messages = runner.meta.setdefault('hook_msgs', {})
        messages['last_ckpt'] = self.file_client.join_path(self.out_dir, self.name)

    def _save_checkpoint(self, runner):
        self.point_at(runner)
        self._describe(runner, evaluated=not evaluations_due(runner, self.by_epoch, self.priority))
        super()._save_checkpoint(runner)  # in the main process

    def save_again(self, runner):
        """Write the last checkpoint once more, now that its evaluation is done. Every process calls this."""
        self._describe(runner, evaluated=True)
        if runner.rank == 0:
            options = dict(self.args, filename_tmpl=self.name)
            runner.save_checkpoint(self.out_dir, save_optimizer=self.save_optimizer, **options)

    def _describe(self, runner, evaluated):
        position = runner.position()
        self.args['meta'] = dict(
            resume=dict(
                evaluated=evaluated,
                random_states=gather_random_states(),
                gradients=half_accumulated(runner, position['iter']),
                log=log_tail(runner) if position['inner_iter'] else {},  # cleared when an epoch starts
            )
        )


class SaveScoreHook(Hook):
    """Write the checkpoint of this point of the run once more when it was evaluated: its score must not be lost.

    A run that is killed before goes on from the checkpoint as it was first written, and evaluates it again.

    Args:
        checkpoints: The hook that wrote it. Register this one after the evaluation (and before the logs).
    """

    def __init__(self, checkpoints: ResumableCheckpointHook):
        self.checkpoints = checkpoints

    def after_train_iter(self, runner):
        """After an evaluation by iteration."""
        if self._saved_here(runner) and evaluations_due(runner, False, self.checkpoints.priority):
            self.checkpoints.save_again(runner)

    def after_train_epoch(self, runner):
        """After an evaluation by epoch, and when the last iteration of the epoch was saved: the epoch is done now."""
        due = evaluations_due(runner, True, self.checkpoints.priority)
        if self._saved_here(runner) and (due or not self.checkpoints.by_epoch):
            self.checkpoints.save_again(runner)

    def _saved_here(self, runner):
        return self.checkpoints.saved_iter == runner.position()['iter']
