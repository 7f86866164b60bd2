"""One log line with what decides whether two runs are comparable: batch size and learning rate."""

from mmcv.runner import HOOKS, Hook


@HOOKS.register_module()
class TrainingSummaryHook(Hook):
    """Log the effective batch size (processes x samples x accumulated iterations) and the base learning rates, once."""

    def __init__(self):
        self._logged = False

    def before_train_epoch(self, runner):
        """Log at the first epoch this process trains; later epochs say nothing."""
        if self._logged:
            return
        self._logged = True
        samples = runner.data_loader.batch_size
        accumulated = max([getattr(hook, 'cumulative_iters', 1) for hook in runner.hooks])
        rates = sorted({group.get('initial_lr', group['lr']) for group in runner.optimizer.param_groups})
        trained = sum(p.numel() for group in runner.optimizer.param_groups for p in group['params'] if p.requires_grad)
        runner.logger.info(
            f'effective batch size {runner.world_size * samples * accumulated} = {runner.world_size} process(es) x '
            f'{samples} sample(s) x {accumulated} accumulated iteration(s); base learning rate '
            f'{", ".join(f"{rate:g}" for rate in rates)}; {len(runner.data_loader)} iterations per epoch; '
            f'{trained / 1e6:.2f} M trained parameters'
        )
