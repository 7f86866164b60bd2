"""What distillation losses share: float32, weights, names for the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...models.heads.base import BEVHead, Predictions
from ..regions import Regions

_COUNT = 'num_'


class _WeightedTerms(nn.Module):
    """Terms of a loss, each with a weight.

    Args:
        weights: term -> weight, 1 for terms that are not in it.
        loss_weight: factor of all terms.
    """

    def __init__(self, *, weights: Mapping[str, float] | None = None, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.weights = dict(weights or {})
        self.loss_weight = loss_weight

    def weight(self, term: str) -> float:
        """What a term is multiplied with; of 'task0.bbox' the last part counts."""
        return self.loss_weight * self.weights.get(term.rpartition('.')[2], 1.0)

    def named(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Terms as the log and the optimizer want them.

        'task0.bbox' becomes ``task0.loss_bbox``, weighted, which is trained on because of 'loss'. All terms with the
        same last part together become ``raw_bbox``, with weight 1, for the log. A term ``num_...`` stays as it is.
        """
        losses, raw = {}, {}
        for term, value in terms.items():
            group, _, name = term.rpartition('.')
            if name.startswith(_COUNT):
                raw[term] = value.detach()
                continue
            losses[f'{group}.loss_{name}' if group else f'loss_{name}'] = self.weight(term) * value
            raw[f'raw_{name}'] = raw.get(f'raw_{name}', 0) + value.detach()
        return {**losses, **raw}


class FeatureLoss(_WeightedTerms):
    """Compares an aligned student map with the teacher's map. A new one is a registered class with one method::

        @DISTILL.register_module()
        class CosineLoss(FeatureLoss):
            def terms(self, student, teacher, regions):
                return dict(cosine=1 - F.cosine_similarity(student, teacher, dim=1).mean())

    It takes ``loss_weight`` from the config, trains on ``distill.<level>.loss_cosine`` and logs
    ``distill.<level>.raw_cosine``.
    """

    @property
    def needs_false_positives(self) -> bool:
        """Whether the regions need a part of false positives, which costs a pass through the teacher's head."""
        return False

    def terms(self, student: Tensor, teacher: Tensor, regions: Regions) -> dict[str, Tensor]:
        """Scalars by name, without weights.

        Args:
            student: (B, C, H, W) float32, aligned.
            teacher: (B, C, H, W) float32, without gradients.
            regions: partition of the H x W cells.
        """
        raise NotImplementedError

    def forward(self, student: Tensor, teacher: Tensor, regions: Regions) -> dict[str, Tensor]:
        """``loss_<term>`` (weighted) and ``raw_<term>`` (weight 1, detached) of one level; arguments as :meth:`terms`.

        Raises:
            ValueError: the maps differ in shape.
        """
        if student.shape != teacher.shape:
            raise ValueError(f'aligned student map is {tuple(student.shape)}, teacher map {tuple(teacher.shape)}')
        with torch.autocast(student.device.type, enabled=False):
            return self.named(self.terms(student.float(), teacher.detach().float(), regions))


class ResponseLoss(_WeightedTerms):
    """Compares what the teacher's frozen head says about the aligned student map with what it says about its own.

    A new one is a registered class with the method :meth:`terms`; names and weights as for :class:`FeatureLoss`, under
    ``crd.``.
    """

    def check_head(self, head: BEVHead) -> None:
        """Raise ValueError for a teacher head that the loss cannot read; called once, when the distiller is built."""

    def terms(
        self, head: BEVHead, cross: Predictions, teacher: Predictions, metas: Sequence[Mapping[str, Any]]
    ) -> dict[str, Tensor]:
        """Scalars by name, without weights; a name ``num_...`` is only logged.

        Args:
            head: the teacher's frozen head.
            cross: its predictions on the aligned student map; gradients pass through them to the student.
            teacher: its predictions on the teacher's own map.
            metas: B dicts.
        """
        raise NotImplementedError

    def forward(
        self, head: BEVHead, cross: Predictions, teacher: Predictions, metas: Sequence[Mapping[str, Any]]
    ) -> dict[str, Tensor]:
        """``[group.]loss_<term>`` (weighted), ``raw_<term>`` (weight 1) and counts; arguments as :meth:`terms`."""
        with torch.autocast(next(head.parameters()).device.type, enabled=False):
            return self.named(self.terms(head, cross, teacher, metas))


def bare_terms(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A head's named losses as terms: 'task0.loss_bbox' -> 'task0.bbox'."""
    return {''.join(name.rpartition('loss_')[::2]): value for name, value in losses.items()}
