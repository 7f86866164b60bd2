"""Tell a model that wants to know which iteration it trains."""

from mmcv.parallel import is_module_wrapper
from mmcv.runner import HOOKS, Hook


@HOOKS.register_module()
class SetIterationHook(Hook):
    """Call the model's ``set_iteration(iteration)``, if it has one, before every iteration.

    The number is the runner's, counted from 0 over all epochs. A checkpoint carries it, so whatever a model derives
    from it goes on after a resume as if nothing had happened.
    """

    def before_train_iter(self, runner):
        """Pass the iteration on."""
        model = runner.model.module if is_module_wrapper(runner.model) else runner.model
        if hasattr(model, 'set_iteration'):
            model.set_iteration(runner.iter)
