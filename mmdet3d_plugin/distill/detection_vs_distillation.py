"""The two halves of a distiller's losses, told apart by name: the student's own detection, and distillation."""

_DISTILLATION = ('distill.', 'crd.')


def is_distillation(name):
    """Whether the loss called ``name`` serves distillation."""
    return name.startswith(_DISTILLATION)


def loss_by_purpose(losses):
    """Sum of the trained terms of each half.

    Args:
        losses (dict): name -> scalar tensor; names with 'loss' are trained on.

    Returns:
        dict: 'detection' and 'distillation' -> scalar tensor; they add up to the trained loss.
    """
    trained = {name: value for name, value in losses.items() if 'loss' in name}
    groups = dict(
        detection=[value for name, value in trained.items() if not is_distillation(name)],
        distillation=[value for name, value in trained.items() if is_distillation(name)],
    )
    return {group: sum(values) for group, values in groups.items()}


def warmup_factor(iteration, warmup_iters):
    """What distillation weighs at ``iteration`` (from 0): a line from 1 / warmup_iters to 1, then 1."""
    return min(1.0, (iteration + 1) / warmup_iters) if warmup_iters else 1.0


def scale_distillation(losses, factor):
    """Losses with the trained terms of distillation times ``factor``; ``raw_*`` and counts stay as they are."""
    if factor == 1.0:
        return losses
    return {
        name: value * factor if is_distillation(name) and 'loss' in name else value for name, value in losses.items()
    }
