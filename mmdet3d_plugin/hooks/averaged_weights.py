"""EMA hooks of mmcv and mmdet whose checkpoints say which weights are the averages, and which resume exactly."""

import torch
from mmcv.parallel import is_module_wrapper
from mmcv.runner import HOOKS, EMAHook, IterBasedRunner
from mmdet.core.hook.ema import ExpMomentumEMAHook, LinearMomentumEMAHook

from ..checkpoints.averages import ASIDE, MARK, OWN
from ..checkpoints.weight_names import bare_name


class _KnownAverages:
    """Mixed into an EMA hook. Its class goes on as it is, but for three things.

    Each checkpoint tells in its meta where the averages are: the hook swaps latest and averaged weights for the
    evaluation, and a checkpoint is saved before or after. Swaps go in pairs: mmcv swaps back before the first epoch as
    well, which exchanges the two sets of a resumed run. A resumed run goes on from its averages: mmcv starts them anew.
    """

    def __init__(self, *args, resume_from=None, **kwargs):
        if resume_from is not None:
            raise ValueError('EMA hook: resume_from would run code from the file, use --resume-from or --auto-resume')
        super().__init__(*args, **kwargs)
        self._swapped, self._resumed = False, None

    def go_on_from(self, both):
        """Take both sets of weights of a checkpoint over at the start of the run.

        Args:
            both (Averages | None): None for a file without averages.
        """
        self._resumed = both

    def before_run(self, runner):
        """Register the averages, as resumed where there is something to go on from."""
        super().before_run(runner)
        self._tell(runner, swapped=False)
        if isinstance(runner, IterBasedRunner):
            runner.logger.warning(
                'EMA hook: a run by iterations scores its latest weights while it trains, save_best among them; '
                'tools/test.py and teachers take the averages of its checkpoints'
            )
        if self._resumed is None:
            return
        model = runner.model.module if is_module_wrapper(runner.model) else runner.model
        buffers = dict(model.named_buffers())
        for name, buffer in self.param_ema_buffer.items():
            with torch.no_grad():
                buffers[buffer].copy_(self._resumed.averaged.get(bare_name(name), buffers[buffer]))
        if self._resumed.place == OWN:  # saved after an epoch, whose evaluation may still be due
            self._swap_ema_parameters()
            self._tell(runner, swapped=True)

    def before_train_epoch(self, runner):
        """Back to the latest weights, after the evaluation of the averages."""
        if self._swapped:
            super().before_train_epoch(runner)
        self._tell(runner, swapped=False)

    def after_train_epoch(self, runner):
        """The averages take the weights' place for the evaluation."""
        super().after_train_epoch(runner)
        self._tell(runner, swapped=True)

    def _tell(self, runner, swapped):
        self._swapped = swapped
        if runner.meta is not None:
            runner.meta[MARK] = OWN if swapped else ASIDE


for _hook in (EMAHook, ExpMomentumEMAHook, LinearMomentumEMAHook):
    HOOKS.register_module(
        name=_hook.__name__, force=True, module=type(_hook.__name__, (_KnownAverages, _hook), {'__module__': __name__})
    )
