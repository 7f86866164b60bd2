"""Stop training at the first loss that is not a finite number, and say which term and which samples."""

import math

import torch
from mmcv.parallel import DataContainer
from mmcv.runner import HOOKS, Hook


def sample_tokens(batch):
    """Tokens (``sample_idx``) of a collated batch.

    Args:
        batch (dict): Collated batch; ``img_metas`` is a list of dicts, bare or in a (nested) DataContainer.

    Returns:
        list[str]: One token per sample; empty when the batch carries none.
    """
    metas = batch.get('img_metas', [])
    if isinstance(metas, DataContainer):
        metas = metas.data
    flat = []
    for item in metas:
        flat.extend(item if isinstance(item, (list, tuple)) else [item])
    return [str(meta['sample_idx']) for meta in flat if 'sample_idx' in meta]


@HOOKS.register_module()
class CheckFiniteLossHook(Hook):
    """Raise before the backward pass and the optimizer step when a loss is NaN or infinite.

    Register it with a priority above the optimizer's (``priority='HIGH'``). The logged terms are already Python floats
    averaged over the processes, so the check costs one extra scalar read and every process stops together.
    """

    def after_train_iter(self, runner):
        """Check ``outputs['loss']`` and every entry of ``outputs['log_vars']``.

        Raises:
            FloatingPointError: Naming the terms, the sample tokens of this process, the epoch and the iteration.
        """
        terms = {name: value for name, value in runner.outputs.get('log_vars', {}).items() if not math.isfinite(value)}
        own_loss_finite = bool(torch.isfinite(runner.outputs['loss'].detach()).all())
        if not terms and own_loss_finite:
            return
        named = {name: value for name, value in terms.items() if name != 'loss'} or terms or {'loss': 'not finite'}
        listing = ', '.join(f'{name} = {value}' for name, value in named.items())
        tokens = sample_tokens(runner.data_batch)
        origin = ''
        if own_loss_finite and 'loss' in terms:
            origin = " (this process's own loss is finite: look at the other ranks)"
        elif own_loss_finite:
            origin = ' (the loss itself is finite: the named term is logged only, or has weight 0)'
        raise FloatingPointError(
            f'non-finite loss at epoch {runner.epoch + 1}, iteration {runner.inner_iter + 1}: {listing}; '
            f'samples of rank {runner.rank}: {tokens}{origin}. The weights have not been updated with it. '
            f'Lower the learning rate or the weight of the named term, or inspect these samples.'
        )
