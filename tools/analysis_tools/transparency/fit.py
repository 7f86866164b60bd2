"""An aligner trained on stored maps alone, and how much of the teacher's map it then gives."""

import itertools
from collections.abc import Iterable

import torch
from mmcv.runner import build_optimizer
from torch import Tensor, nn


def fit(aligner: nn.Module, loss: nn.Module, batches: list, name: str, steps: int, cfg) -> None:
    """Train an aligner, and what the loss learns, with the optimizer of a config and a cosine down to zero.

    Args:
        aligner, loss: Of entry ``name``; changed.
        batches (list[StoredBatch]): Gone through again and again, in order.
        name: Entry of ``levels``.
        steps: Of the optimizer.
        cfg (mmcv.Config): ``optimizer`` and ``optimizer_config.grad_clip`` are read.
    """
    parts = nn.ModuleDict(dict(aligner=aligner, loss=loss)).train()
    optimizer = build_optimizer(parts, cfg.optimizer)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    clip = cfg.optimizer_config.get('grad_clip')
    for batch in itertools.islice(itertools.cycle(batches), steps):
        optimizer.zero_grad()
        weighted(loss(aligner(batch.student[name]), batch.teacher[name], batch.regions[name])).backward()
        if clip:
            nn.utils.clip_grad_norm_(parts.parameters(), **clip)
        optimizer.step()
        schedule.step()


def look(aligner: nn.Module, loss: nn.Module, batches: list, name: str) -> dict:
    """How an aligner does on maps that it was not trained on.

    Returns:
        dict[str, float]: ``correlation``, see :func:`correlation`, and ``loss``, its weighted sum, mean over batches.
    """
    aligner.eval(), loss.eval()
    with torch.no_grad():
        aligned = [aligner(batch.student[name]) for batch in batches]
        losses = [
            float(weighted(loss(ours, batch.teacher[name], batch.regions[name])))
            for ours, batch in zip(aligned, batches)
        ]
    maps = [batch.teacher[name] for batch in batches]
    return dict(correlation=correlation(aligned, maps), loss=sum(losses) / len(losses))


def weighted(terms: dict) -> Tensor:
    """Sum of the terms that are trained on."""
    return sum(value for name, value in terms.items() if name.startswith('loss_'))


def correlation(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> float:
    """Correlation over all cells, channels and samples, without each channel's mean over the map of a sample.

    Args:
        ours, theirs: (B, C, H, W) each, pair by pair of the same shape.

    Returns:
        1 for a perfect copy up to one scale and the means, 0 for a map without a trace of the other, nan for flat ones.
    """
    products = torch.zeros(3, dtype=torch.float64)
    for one, other in zip(ours, theirs):
        one, other = (values.double() - values.double().mean((2, 3), keepdim=True) for values in (one, other))
        products += torch.stack([(one * other).sum(), one.square().sum(), other.square().sum()]).cpu()
    both, mine, yours = products.tolist()
    return both / (mine * yours) ** 0.5 if mine and yours else float('nan')
