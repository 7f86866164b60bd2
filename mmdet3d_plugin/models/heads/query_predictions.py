"""What a query head predicts: the one form that head, assigner, losses and distillation share."""

from typing import NamedTuple

from torch import Tensor


class QueryPredictions(NamedTuple):
    """Classes and boxes of Q queries after each of L decoder layers; the last layer answers at test.

    Attributes:
        logits: (L, B, Q, K) float32, class logits.
        codes: (L, B, Q, 10) float32, boxes as :class:`QueryBoxCoder` writes them.
    """

    logits: Tensor
    codes: Tensor


def layer_groups(layers: int) -> list[str]:
    """What the names of a decoder layer's losses start with: 'd0.', 'd1.', ..., and nothing for the last one's."""
    return [*(f'd{layer}.' for layer in range(layers - 1)), '']
