"""DualDistill: trains a camera BEV student beside a frozen LiDAR teacher."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from mmcv.runner import auto_fp16
from mmdet3d.models import build_detector
from mmdet3d.models.builder import DETECTORS
from mmdet3d.models.detectors import Base3DDetector
from torch import Tensor, nn

from ..checkpoints.distiller_keys import register_student_key_hooks
from ..models.detectors.base import BEVDetector
from ..models.heads.base import BEVHead, Predictions
from ..structures import BEVFeatures, BEVLevel
from ..structures.labelled import unlabelled_samples
from .aligners.base import build_aligner
from .compatibility import check_false_positive_level, check_heads, check_same_extent, level_entries, pair_levels
from .detection_vs_distillation import loss_by_purpose, scale_distillation, warmup_factor
from .losses.base import FeatureLoss, ResponseLoss
from .regions import Regions, build_regions
from .registry import build_part
from .teacher import FrozenTeacher
from .unlabelled import Objects, UnlabelledRules, believe_teacher, labelled_by_teacher, objects_of

_RESPONSE_LEVEL = 'head'


@dataclass
class Comparison:
    """All that student and teacher say about one batch, before it becomes losses.

    Attributes:
        student, teacher: maps of both.
        aligned: entry name -> (B, C_T, H_T, W_T) student map after its aligner.
        target: entry name -> (B, C_T, H_T, W_T) the teacher's map.
        objects: what stands in each sample, as far as anybody knows.
        regions: entry name -> Regions, for the entries with a feature loss.
        teacher_preds: the teacher head's predictions on its own map; None when no loss asks for them.
        cross_preds: the same head's predictions on the aligned student map, for a loss that reads little of them; None
            without a response loss.
    """

    student: BEVFeatures
    teacher: BEVFeatures
    aligned: dict[str, Tensor]
    target: dict[str, Tensor]
    objects: Objects
    regions: dict[str, Regions]
    teacher_preds: Predictions | None = None
    cross_preds: Predictions | None = None


def student_model_cfg(model_cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """Copy of the config that runs at test: the student of a DualDistill config, any other config as it is."""
    return copy.deepcopy(model_cfg['student'] if model_cfg['type'] == 'DualDistill' else model_cfg)


@DETECTORS.register_module()
class DualDistill(Base3DDetector):
    """A student, a frozen teacher and pairs of their levels.

    Training: the student's own losses, a feature loss per pair on the aligned student map, and a response loss on what
    the teacher's frozen head says about one aligned map. Inference: the student alone. Checkpoints hold the student
    under its own keys and aligners and losses under ``distill.``; the teacher is in neither checkpoint, parameters nor
    DistributedDataParallel.

    Samples without labels (``labelled=False`` in their ``img_metas``) teach too: docs/unlabelled.md.

    Args:
        student: detector config.
        teacher: ``config``, ``checkpoint``, ``cfg_options``, ``allow_random_weights``, ``cache``, see
            :class:`FrozenTeacher`.
        levels: name -> dict with ``aligner`` (config) and optionally ``loss`` (config of a feature loss),
            ``student`` and ``teacher`` (which level of each, by default the one called like the entry) and ``regions``
            (see :class:`RegionRules`); None switches an inherited entry off. A list of such dicts, each with its
            ``name``, means the same but cannot be overridden entry by entry in a child config.
        response: config of a response loss, and ``level``, the entry whose aligned map the teacher's head
            reads ('head' if not given).
        inherit_head: start the student's head from the teacher's. A list names the parts of the head.
        warmup_iters: let all distillation losses grow linearly over this many iterations; 0 for none.
        unlabelled: what becomes of samples without labels, see :class:`UnlabelledRules`. With ``pseudo_labels`` there
            may be no level: then the teacher's boxes alone teach.
        train_cfg, test_cfg: must be None, they belong into ``student``.

    Raises:
        ValueError: one line that names both sides, for anything in student, teacher and levels that does not fit.
    """

    def __init__(
        self,
        *,
        student: Mapping[str, Any],
        teacher: Mapping[str, Any],
        levels: Mapping[str, Mapping[str, Any] | None] | Sequence[Mapping[str, Any]],
        response: Mapping[str, Any] | None = None,
        inherit_head: bool | Sequence[str] = True,
        warmup_iters: int = 0,
        unlabelled: Mapping[str, Any] | None = None,
        train_cfg: None = None,
        test_cfg: None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if train_cfg is not None or test_cfg is not None:
            raise ValueError('DualDistill takes no train_cfg or test_cfg: put them into model.student')
        if warmup_iters < 0:
            raise ValueError(f'warmup_iters counts iterations and cannot be {warmup_iters}: 0 is no warm-up')
        self.student = build_detector(copy.deepcopy(student))
        self.teacher = FrozenTeacher(**teacher)
        for side, model in (('student', self.student), ('teacher', self.teacher.module)):
            if not isinstance(model, BEVDetector):
                raise ValueError(f'{side} {type(model).__name__} is no BEVDetector: derive it from that class')
        check_same_extent(self.student, self.teacher)
        check_heads(self.student.head, self.teacher.head)
        self.unlabelled = UnlabelledRules.of(unlabelled)
        if unlabelled is not None:
            self.unlabelled.check_head(self.teacher.head)
        self.entries = level_entries(levels, may_be_none=self.unlabelled.pseudo_labels)
        self._build_levels()
        self._build_response(response)
        self.warmup_iters = warmup_iters
        self.iteration: int | None = None
        self.inherit_head = inherit_head
        self._inherit_head()
        register_student_key_hooks(self)

    def _build_levels(self):
        aligners, losses = nn.ModuleDict(), nn.ModuleDict()
        self.teacher_grids = {}
        for name, (ours, theirs) in pair_levels(self.entries, self.student, self.teacher).items():
            entry = self.entries[name]
            try:
                aligners[name] = build_aligner(entry.aligner, ours, theirs, f'levels.{name}.aligner')
            except ValueError as error:
                raise ValueError(f'level {name!r} (student {ours}, teacher {theirs}): {error}') from error
            self.teacher_grids[name] = theirs.grid
            if entry.loss:
                losses[name] = build_part(entry.loss, FeatureLoss, f'levels.{name}.loss')
                if losses[name].needs_false_positives:
                    check_false_positive_level(name, theirs, self.teacher.head)
        self.distill = nn.ModuleDict({'aligners': aligners, 'losses': losses})

    def _build_response(self, response):
        idle = [name for name, entry in self.entries.items() if not entry.loss]
        self.response_level: str | None = None
        if response is not None:
            options = {key: value for key, value in response.items() if key != 'level'}
            self.response_level = response.get('level', _RESPONSE_LEVEL)
            if self.response_level not in self.entries:
                raise ValueError(
                    f'response needs a level {self.response_level!r}, levels has {", ".join(self.entries)}: name one '
                    f'of them as response.level'
                )
            idle = [name for name in idle if name != self.response_level]
        if idle:
            raise ValueError(f'levels: {", ".join(idle)} has an aligner that nothing uses, give it a loss or remove it')
        if response is not None:
            loss = build_part(options, ResponseLoss, 'response')
            loss.check_head(self.teacher.head)
            self.distill['response'] = loss

    @property
    def aligners(self) -> nn.ModuleDict:
        """The aligner of each entry."""
        return cast(nn.ModuleDict, self.distill['aligners'])

    @property
    def feature_losses(self) -> nn.ModuleDict:
        """The feature loss of each entry that has one."""
        return cast(nn.ModuleDict, self.distill['losses'])

    @property
    def response(self) -> ResponseLoss | None:
        """The response loss, or None. It is held under ``distill``: parameters of its own belong to no student."""
        return getattr(self.distill, 'response', None)

    @property
    def head(self) -> BEVHead:
        """The student's head, which answers at test."""
        return self.student.head

    def bev_levels(self) -> dict[str, BEVLevel]:
        """The student's levels."""
        return self.student.bev_levels()

    @property
    def sequential(self) -> bool:
        """Whether the student remembers frames."""
        return self.student.sequential

    def reset(self) -> None:
        """Let the student forget earlier frames."""
        self.student.reset()

    def _inherit_head(self):
        if self.inherit_head:
            parts = None if self.inherit_head is True else tuple(self.inherit_head)
            self.student.head.inherit(self.teacher.head, parts)

    def init_weights(self) -> None:
        """Initialise the student, then let it start from the teacher's head."""
        super().init_weights()
        self._inherit_head()

    def checkpoint_meta(self) -> dict[str, Any]:
        """What every checkpoint of a run should say: which teacher it was distilled from."""
        return dict(teacher=self.teacher.info.as_meta())

    def _apply(self, fn, *args, **kwargs):
        """Device moves reach the teacher too, although it is no submodule."""
        self.teacher.apply_to_tensors(fn)
        return super()._apply(fn, *args, **kwargs)

    @auto_fp16(apply_to=('img',))
    def forward(self, return_loss: bool = True, **batch: Any) -> dict[str, Tensor] | list[dict[str, Any]]:
        """Losses of a collated batch, or the student's detections with ``return_loss=False``.

        Points keep float32 under fp16 training: in half precision a coordinate of 50 m is off by centimetres.
        """
        return self.forward_train(**batch) if return_loss else self.forward_test(**batch)

    def train_step(self, data: Mapping[str, Any], optimizer: torch.optim.Optimizer | None) -> dict[str, Any]:
        """mmdet's, and ``loss_by_purpose``: the trained loss in two parts, for diagnostics."""
        losses = self(**data)
        loss, log_vars = self._parse_losses(losses)
        return dict(
            loss=loss, log_vars=log_vars, num_samples=len(data['img_metas']), loss_by_purpose=loss_by_purpose(losses)
        )

    def set_iteration(self, iteration: int) -> None:
        """Tell the distiller which iteration (from 0) it trains; ``warmup_iters`` counts on it."""
        self.iteration = iteration

    def _warmup_factor(self):
        if not self.warmup_iters:
            return 1.0
        if self.iteration is None:
            raise ValueError(
                f'warmup_iters={self.warmup_iters} needs to know the iteration: add dict(type="SetIterationHook") to '
                f'custom_hooks'
            )
        return warmup_factor(self.iteration, self.warmup_iters)

    def forward_train(self, **batch: Any) -> dict[str, Tensor]:
        """Named losses of a collated batch: the student's own, ``distill.<level>.*`` and ``crd.*``.

        Names with 'loss' are weighted and trained on; ``raw_*`` is the same term with weight 1, for the log.
        """
        views = self.compare(batch)
        losses = dict(self.student.loss_from_bev(views.student, self._batch_of_student(batch, views.objects)))
        for name, loss in self.feature_losses.items():
            terms = loss(views.aligned[name], views.target[name], views.regions[name])
            losses.update({f'distill.{name}.{term}': value for term, value in terms.items()})
        if self.response is not None:
            terms = self.response(self.teacher.head, views.cross_preds, views.teacher_preds, batch['img_metas'])
            losses.update({f'crd.{term}': value for term, value in terms.items()})
        return scale_distillation(losses, self._warmup_factor())

    def compare(self, batch: Mapping[str, Any]) -> Comparison:
        """What student and teacher say about a collated batch."""
        names = [entry.teacher for entry in self.entries.values()]
        ours, theirs = self.student.extract_bev(batch), self.teacher.extract_bev(batch, names)
        metas, losses = batch['img_metas'], self.feature_losses
        needs_fp = any(loss.needs_false_positives for loss in losses.values())
        preds = cross = None
        if needs_fp or self.response is not None or unlabelled_samples(metas):
            with torch.no_grad():
                preds = self.teacher.respond(theirs.head_map, metas)
        aligned = {name: self.aligners[name](ours.level(entry.student)) for name, entry in self.entries.items()}
        target = {name: theirs.level(entry.teacher) for name, entry in self.entries.items()}
        objects = self._objects(batch, preds)
        regions = {name: self._regions(name, objects, preds, metas, target[name].device) for name in losses}
        if self.response_level is not None:
            self._check_response_level(self.response_level, theirs)
            cross = self.teacher.respond_lazily(aligned[self.response_level], metas)
        return Comparison(ours, theirs, aligned, target, objects, regions, preds, cross)

    def _objects(self, batch, preds):
        metas = batch['img_metas']
        if not unlabelled_samples(metas):
            return Objects(batch['gt_bboxes_3d'], batch['gt_labels_3d'])
        return objects_of(batch, self.teacher.head.decode(preds, metas, **self.unlabelled.decoding), self.unlabelled)

    def _batch_of_student(self, batch, objects):
        """The batch for the student's own losses."""
        return labelled_by_teacher(batch, objects) if self.unlabelled.pseudo_labels else batch

    def _regions(self, name, objects, preds, metas, device):
        grid, confidences = self.teacher_grids[name], {}
        if self.feature_losses[name].needs_false_positives:
            labels = [label.to(device) for label in objects.labels]
            target = self.teacher.head.target_confidence(objects.boxes, labels, grid)
            confidences['teacher'] = self.teacher.head.confidence(preds, grid)
            confidences['target'] = believe_teacher(target, confidences['teacher'], metas)
        rules, weights = self.entries[name].regions, objects.weights
        return build_regions(objects.boxes, grid, rules, device=device, weights=weights, **confidences)

    def _check_response_level(self, level, theirs):
        """The aligned map must be like what the teacher's head reads; only the teacher's maps tell which that is."""
        read = self.entries[level].teacher
        if read != theirs.head_input:
            raise ValueError(
                f"response.level {level!r} is aligned with the teacher's level {read!r}, but the "
                f"teacher's head reads {theirs.head_input!r}: choose the entry of that level"
            )

    def forward_test(self, **batch: Any) -> list[dict[str, Any]]:
        """The student's detections."""
        return self.student.forward_test(**batch)

    def simple_test(self, img_metas: Sequence[Mapping[str, Any]], **batch: Any) -> list[dict[str, Any]]:
        """The student's detections."""
        return self.student.simple_test(img_metas, **batch)

    def aug_test(self, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        """The student's answer to test-time augmentation."""
        return self.student.aug_test(*args, **kwargs)

    def extract_feat(self, *args: Any, **kwargs: Any) -> Any:
        """The student's answer to mmdet's feature interface."""
        return self.student.extract_feat(*args, **kwargs)
