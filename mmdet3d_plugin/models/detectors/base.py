"""What a detector must answer so that training, distillation, testing and drawing need not know its kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from mmcv.runner import auto_fp16
from mmcv.utils import print_log
from mmdet3d.core import bbox3d2result
from mmdet3d.models.detectors import Base3DDetector
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...checkpoints.weight_names import DISTILL
from ...structures import BEVFeatures, BEVLevel
from ...structures.labelled import labelled_samples
from ..evaluating import evaluating
from ..heads.base import BEVHead

Stage = TypeVar('Stage')  # planned levels or maps


def named_stages(stages: Sequence[Stage], **last: Stage) -> dict[str, Stage]:
    """Names of planned levels or maps: 'backbone0', ... for the stages of a BEV backbone, then those of ``last``."""
    return {**{f'backbone{i}': stage for i, stage in enumerate(stages)}, **last}


class BEVDetector(Base3DDetector):
    """A detector that sees the world as BEV maps with a head on one of them. Student or teacher, camera or LiDAR.

    A new detector writes :attr:`inputs`, :attr:`head`, :meth:`bev_levels`, :meth:`extract_bev` and
    :meth:`loss_from_bev`. Everything below them is written here, once.

    Attributes:
        inputs: keys of the batch that :meth:`extract_bev` cannot do without, such as ``{'img'}`` or ``{'points'}``.
        targets: keys of the batch that :meth:`loss_from_bev` reads beside them.
        sequential: samples of a scene must come in order, one at a time, because earlier ones are remembered.
    """

    inputs: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset({'gt_bboxes_3d', 'gt_labels_3d'})
    sequential = False

    @property
    @abstractmethod
    def head(self) -> BEVHead:
        """The detection head."""

    @abstractmethod
    def bev_levels(self) -> dict[str, BEVLevel]:
        """Planned size and place of each BEV map by name, fine to coarse, from the config alone."""

    @abstractmethod
    def extract_bev(self, batch: Mapping[str, Any]) -> BEVFeatures:
        """BEV maps of a collated batch, under the names of :meth:`bev_levels`."""

    @abstractmethod
    def loss_from_bev(self, bev: BEVFeatures, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The detector's own losses by name, for maps that :meth:`extract_bev` made of the same batch.

        Samples may be unlabelled (``structures/labelled.py``): :meth:`head_losses` leaves their boxes and labels alone.
        """

    @property
    def shared_module(self) -> nn.Module:
        """The part that detection and distillation both train, and that a gradient of both is cheap to take of."""
        return self

    def meaning(self) -> dict[str, Any]:
        """What no weight shows of the outputs' meaning, as plain values: classes by task, and the head's own settings.

        Checkpoints keep it, and a file whose values differ is refused. A detector adds its ranges and cells (metres).
        """
        return dict(tasks=self.head.tasks, **self.head.meaning())

    def pipeline_settings(self) -> dict[tuple[str, str], Any]:
        """What the detector was built for and pipelines must agree with: (type of a step, argument) -> value."""
        return {}

    def reset(self) -> None:
        """Forget earlier frames. Only a :attr:`sequential` detector remembers any."""

    def head_losses(self, bev: BEVFeatures, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The head's losses on the level it reads, of the labelled samples alone.

        The head sees no map of an unlabelled sample, so that its normalisation knows labelled ones only. A batch
        without any labelled sample has the same losses, all zero, and gives every parameter a gradient of zeros.
        """
        labelled = labelled_samples(batch['img_metas'])
        if not labelled:
            return self._zero_head_losses(bev, batch)
        columns = [batch[key] for key in ('gt_bboxes_3d', 'gt_labels_3d', 'img_metas')]
        if len(labelled) == len(columns[-1]):
            return self._losses_on(bev.head_map, *columns)
        return self._losses_on(bev.head_map[labelled], *([column[i] for i in labelled] for column in columns))

    def _losses_on(self, head_map, boxes, labels, metas):
        return self.head.loss(self.head.predict(head_map, metas), boxes, labels, metas)

    def _zero_head_losses(self, bev, batch):
        """Losses of one sample in which nothing stands, times zero.

        The head does run: other processes may have labelled samples, and what a head exchanges with them (normalisers,
        statistics of a synchronised batch norm) must find a partner here.
        """
        boxes, labels = (batch[key][0][:0] for key in ('gt_bboxes_3d', 'gt_labels_3d'))
        parts = cast(nn.Module, self.head).modules()
        own_statistics = [part for part in parts if isinstance(part, _BatchNorm)]
        own_statistics = [part for part in own_statistics if not isinstance(part, nn.SyncBatchNorm)]
        with evaluating(*own_statistics):
            losses = self._losses_on(bev.head_map[:1], [boxes], [labels], batch['img_metas'][:1])
        return {name: value * 0 for name, value in losses.items()}

    @auto_fp16(apply_to=('img',))
    def forward(self, return_loss: bool = True, **batch: Any) -> dict[str, Tensor] | list[dict[str, Any]]:
        """Losses of a collated batch, or detections with ``return_loss=False``.

        Points keep float32 under fp16 training: in half precision a coordinate of 50 m is off by centimetres.
        """
        return self.forward_train(**batch) if return_loss else self.forward_test(**batch)

    def forward_train(self, **batch: Any) -> dict[str, Tensor]:
        """Losses by name; keys for other sensors are ignored."""
        return self.loss_from_bev(self.extract_bev(batch), batch)

    def forward_test(self, img_metas: Sequence[Mapping[str, Any]], **batch: Any) -> list[dict[str, Any]]:
        """Detections, see :meth:`simple_test`; samples are collated as in training."""
        return self.simple_test(img_metas, **batch)

    def simple_test(self, img_metas: Sequence[Mapping[str, Any]], **batch: Any) -> list[dict[str, Any]]:
        """One ``dict(pts_bbox=dict(boxes_3d, scores_3d, labels_3d))`` on the CPU per sample, bottom-centre boxes."""
        return self.detections(self.extract_bev(dict(batch, img_metas=img_metas)), img_metas)

    def detections(self, bev: BEVFeatures, img_metas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What :meth:`simple_test` returns, for maps that are there."""
        found = self.head.decode(self.head.predict(bev.head_map, img_metas), img_metas)
        return [dict(pts_bbox=bbox3d2result(*sample)) for sample in found]

    def aug_test(self, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        """Test-time augmentation is not offered."""
        raise NotImplementedError(f'{type(self).__name__} has no test-time augmentation')

    def extract_feat(self, *args: Any, **kwargs: Any) -> Any:
        """Unsupported part of mmdet's interface: BEV maps need the whole batch."""
        raise NotImplementedError(f'{type(self).__name__} extracts features from a whole batch: use extract_bev(batch)')

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        """Ignore what a distiller saved beside its student, so that one checkpoint serves both models."""
        extra = {key for key in state_dict if key.startswith(prefix + DISTILL)}
        if extra:
            print_log(
                f'{type(self).__name__} ignores {len(extra)} checkpoint entries under "{prefix}{DISTILL}": '
                f'they serve distillation only',
                logger='mmdet3d',
            )
            state_dict = {key: value for key, value in state_dict.items() if key not in extra}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
