"""What a detection head must answer so that detectors, distillation and drawing need not know its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable

from mmdet3d.core.bbox import LiDARInstance3DBoxes
from torch import Tensor, nn

from ...structures import BEVGrid, BEVLevel, Detections

Predictions = Any  # a head's own: nobody but the head looks inside


class BEVHead(ABC):
    """Mixin of every head: a BEV map goes in, predictions come out, and the head alone knows what they hold.

    Put it first among the bases of an ``nn.Module``. Only :meth:`predict`, :meth:`decode`, :meth:`loss` and ``classes``
    are needed to train and test a detector, and a head without one of them cannot be built. The others serve
    distillation, and say what to do when they are missing.
    """

    parameters: Callable[..., Iterator[nn.Parameter]]  # of the module beside it

    @property
    def confidence_grid(self) -> BEVGrid | None:
        """Cells on which :meth:`confidence` can be told; None for a head that can tell it on any grid."""
        return None

    @property
    @abstractmethod
    def classes(self) -> list[str]:
        """Class names, in label order."""

    @property
    def tasks(self) -> list[list[str]]:
        """Class names by task, for a head that splits them; all in one otherwise."""
        return [self.classes]

    # Parts (attribute names) whose weights belong to the classes: of no use to a head with other classes.
    class_parts: tuple[str, ...] = ()

    def meaning(self) -> dict[str, Any]:
        """Settings that no weight shows and that change what the outputs mean, as plain values, for checkpoints."""
        return {}

    @property
    def can_train(self) -> bool:
        """Whether the head has the settings that :meth:`loss` and :meth:`target_confidence` need."""
        return True

    def check_input(self, level: BEVLevel) -> None:  # noqa: B027 (a head may read any map)
        """Raise ValueError when the head cannot read maps of this level; a detector calls it when it is built."""

    def check_decoding(self, **options: Any) -> None:  # noqa: B027 (a head may take any)
        """Raise ValueError for options that :meth:`decode` cannot take; a distiller calls it when it is built."""

    @abstractmethod
    def predict(self, bev_map: Tensor, metas: Sequence[Mapping[str, Any]]) -> Predictions:
        """Predictions on a (B, C, H, W) map; differentiable."""

    def predict_lazily(self, bev_map: Tensor, metas: Sequence[Mapping[str, Any]]) -> Predictions:
        """:meth:`predict` for a caller who passes the result to :meth:`loss` and reads little of it."""
        return self.predict(bev_map, metas)

    @abstractmethod
    def decode(
        self,
        predictions: Predictions,
        metas: Sequence[Mapping[str, Any]],
        *,
        score_threshold: float | None = None,
        temperature: float = 1.0,
        **options: Any,
    ) -> list[Detections]:
        """Boxes of each sample, without gradients.

        Args:
            predictions: output of :meth:`predict`, left as it is.
            metas: B dicts with ``box_type_3d`` and whatever else the head needs.
            score_threshold: keep boxes above it; None takes the head's own.
            temperature: divisor of the logits, so that scores are sharper below 1.
            options: the head's own, for instance ``nms``.
        """

    @abstractmethod
    def loss(
        self,
        predictions: Predictions,
        boxes: Sequence[LiDARInstance3DBoxes],
        labels: Sequence[Tensor],
        metas: Sequence[Mapping[str, Any]],
    ) -> dict[str, Tensor]:
        """Named scalar losses; each name has ``loss`` in its last part, as in ``task0.loss_heatmap``.

        Args:
            predictions: output of :meth:`predict` or :meth:`predict_lazily`, left as it is.
            boxes: B ``LiDARInstance3DBoxes``.
            labels: B int64 tensors, index into ``classes``.
            metas: B dicts.
        """

    def confidence(self, predictions: Predictions, grid: BEVGrid) -> Tensor:
        """How sure the head is that something is in a cell: (B, H, W) float32 in [0, 1], best class, no gradients.

        Raises:
            NotImplementedError: the head cannot tell.
        """
        raise NotImplementedError(
            f'{type(self).__name__} has no confidence(): a region of false positives needs it. Add it to the head, or '
            f'use a loss without that region (fp_weight=0)'
        )

    def target_confidence(
        self, boxes: Sequence[LiDARInstance3DBoxes], labels: Sequence[Tensor], grid: BEVGrid
    ) -> Tensor:
        """What :meth:`confidence` should be, from ground truth: (B, H, W) float32 in [0, 1].

        Raises:
            NotImplementedError: the head cannot tell.
        """
        raise NotImplementedError(f'{type(self).__name__} has no target_confidence(), see confidence()')

    def inherit(self, other: BEVHead, parts: Sequence[str] | None = None) -> None:
        """Start from the weights of another head.

        Args:
            other: usually the teacher's.
            parts: which parts; None takes those that the head thinks best.

        Raises:
            ValueError: the heads do not fit. The message names both.
        """
        raise ValueError(
            f'inherit_head: {type(self).__name__} cannot start from the weights of {type(other).__name__}: set '
            f'inherit_head=False, or give the student head an inherit()'
        )
