"""How hard distillation pulls at the student, compared with detection."""

import torch
from mmcv.parallel import is_module_wrapper
from mmcv.runner import HOOKS, Hook


def compare_gradients(losses, parameters, scale=1.0):
    """Norms of two losses' gradients, the share of the second, and the cosine between them.

    Args:
        losses (tuple): two scalar tensors with a graph, which is kept.
        parameters (list[nn.Parameter]): with respect to these, all taken as one vector.
        scale (float): factor on the losses while differentiating, so that float16 gradients do not vanish.

    Returns:
        tuple[float]: |g1|, |g2|, |g2| / (|g1| + |g2|), cosine. Share and cosine are 0 where both, or one, vanish.
    """
    vectors = []
    for loss in losses:
        gradients = torch.autograd.grad(loss * scale, parameters, retain_graph=True, allow_unused=True)
        vectors.append(
            torch.cat(
                [
                    torch.zeros_like(parameter).flatten() if gradient is None else gradient.float().flatten()
                    for parameter, gradient in zip(parameters, gradients)
                ]
            )
        )
    first, second = (vector.norm() / scale for vector in vectors)
    cosine = torch.nn.functional.cosine_similarity(*vectors, dim=0)
    share = second / (first + second).clamp(min=torch.finfo(first.dtype).tiny)
    return tuple(torch.stack([first, second, share, cosine]).tolist())


@HOOKS.register_module()
class GradientShareHook(Hook):
    """Log what part of the gradient on shared parameters of the student comes from distillation.

    Every ``interval`` iterations of an epoch, when the text log writes its lines, both halves of a distiller's loss are
    differentiated with respect to one part of the student that both reach, down to that part only, in this process's
    batch. Logged: ``grad.detection`` and ``grad.distillation`` (norms), ``grad.distill_share`` (distillation / sum) and
    ``grad.cosine`` (below 0 the two pull apart). A warning says, once an epoch, when distillation is more than
    ``warn_ratio`` times as strong as detection, which must have some gradient for it: batches without labels have none.
    Nothing is done for models other than distillers, nor for one whose teacher only labels.

    Register it with a priority above the optimizer's (``priority='HIGH'``): it needs the graph.

    Args:
        interval (int): iterations between measurements.
        shared (str | None): submodule of the student whose parameters are looked at, '' for the whole student; None
            takes the detector's own ``shared_module``.
        warn_ratio (float): see above.
    """

    def __init__(self, *, interval=50, shared=None, warn_ratio=10.0):
        self.interval = interval
        self.shared = shared
        self.warn_ratio = warn_ratio
        self._warned = False

    def before_train_epoch(self, runner):
        """A new epoch may warn again."""
        self._warned = False

    def after_train_iter(self, runner):
        """Measure, before the backward pass frees the graph."""
        by_purpose = runner.outputs.get('loss_by_purpose')
        if not by_purpose or not self.every_n_inner_iters(runner, self.interval):
            return
        if not all(isinstance(loss, torch.Tensor) for loss in by_purpose.values()):
            return
        scale = max(
            (hook.loss_scaler.get_scale() for hook in runner.hooks if hasattr(hook, 'loss_scaler')), default=1.0
        )
        losses = (by_purpose['detection'], by_purpose['distillation'])
        detection, distillation, share, cosine = compare_gradients(losses, self._parameters(runner.model), scale)
        runner.log_buffer.output.update(
            {
                'grad.detection': detection,
                'grad.distillation': distillation,
                'grad.distill_share': share,
                'grad.cosine': cosine,
            }
        )
        if detection and distillation > self.warn_ratio * detection and not self._warned:
            self._warned = True
            where = self.shared or 'what both train'
            runner.logger.warning(
                f'epoch {runner.epoch + 1}, iteration {runner.inner_iter + 1}: on {where} the gradient of '
                f'distillation is {distillation:.3g}, that of detection {detection:.3g}, a ratio above '
                f'warn_ratio={self.warn_ratio:g}. Lower the weights of the distillation losses (see raw_* in the log) '
                f'or let them grow with model.warmup_iters.'
            )

    def _parameters(self, model):
        student = (model.module if is_module_wrapper(model) else model).student
        if self.shared is None:
            shared = student.shared_module
        else:
            modules = dict(student.named_modules())
            if self.shared not in modules:
                raise ValueError(
                    f'GradientShareHook: the student has no part {self.shared!r}; choose one of '
                    f'{", ".join(name for name, _ in student.named_children())} as shared, or None'
                )
            shared = modules[self.shared]
        return [parameter for parameter in shared.parameters() if parameter.requires_grad]
