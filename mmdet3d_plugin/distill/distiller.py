"""DualDistill: trains a camera BEV student beside a frozen LiDAR teacher."""

import copy

import torch
from mmcv.runner import auto_fp16
from mmdet3d.models import build_detector
from mmdet3d.models.builder import DETECTORS, build_loss
from mmdet3d.models.detectors import Base3DDetector
from torch import nn

from . import wiring
from .aligners import build_aligner
from .regions import build_regions
from .state_keys import register_student_key_hooks
from .teacher import FrozenTeacher


def student_model_cfg(model_cfg):
    """Copy of the config that runs at test: the student of a DualDistill config, any other config as it is."""
    return copy.deepcopy(model_cfg['student'] if model_cfg['type'] == 'DualDistill' else model_cfg)


@DETECTORS.register_module()
class DualDistill(Base3DDetector):
    """A student, a frozen teacher and a list of level pairs.

    Training: the student's own losses, a feature loss per level pair on the aligned student map, and a response loss on
    what the teacher's frozen head says about the aligned 'head' level. Inference: the student alone. Checkpoints hold
    the student under its own keys and aligners and losses under ``distill.``; the teacher is in neither checkpoint,
    parameters nor DistributedDataParallel.

    Args:
        student (dict): detector config.
        teacher (dict): ``config``, ``checkpoint``, ``allow_random_weights``, see :class:`FrozenTeacher`.
        levels (dict): name ('backbone0', ..., 'head') -> dict with ``aligner`` (config) and optionally ``loss`` (config
            of a feature loss); None switches an inherited level off. A list of such dicts, each with its ``name``,
            means the same but cannot be overridden level by level in a child config.
        response (dict | None): config of a response loss; needs a level 'head'.
        inherit_head (bool): start the student's task heads from the teacher's.
        train_cfg, test_cfg: must be None, they belong into ``student``.

    Raises:
        ValueError: one line that names both sides, for anything in student, teacher and levels that does not fit.
    """

    def __init__(
        self,
        *,
        student,
        teacher,
        levels,
        response=None,
        inherit_head=True,
        train_cfg=None,
        test_cfg=None,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        if train_cfg is not None or test_cfg is not None:
            raise ValueError('DualDistill takes no train_cfg or test_cfg: put them into model.student')
        self.student = build_detector(copy.deepcopy(student))
        self.teacher = FrozenTeacher(**teacher)
        wiring.check_same_extent(self.student, self.teacher)
        wiring.check_same_classes(self.student, self.teacher)
        wiring.check_heads(self.student, self.teacher)
        self._build_levels(levels)
        self._build_response(response)
        self.inherit_head = inherit_head
        self._inherit_head()
        register_student_key_hooks(self)

    def _build_levels(self, levels):
        aligners, losses = nn.ModuleDict(), nn.ModuleDict()
        self.teacher_levels = {}
        entries = wiring.level_entries(levels)
        for name, (ours, theirs) in wiring.pair_levels(entries, self.student, self.teacher).items():
            cfg = entries[name]
            try:
                aligners[name] = build_aligner(cfg['aligner'], ours, theirs)
            except ValueError as error:
                raise ValueError(f'level {name!r} (student {ours}, teacher {theirs}): {error}') from error
            self.teacher_levels[name] = theirs
            if cfg.get('loss'):
                losses[name] = build_loss(cfg['loss'])
                if losses[name].needs_false_positives:
                    wiring.check_false_positive_level(name, theirs, self.teacher.pts_bbox_head)
        self.distill = nn.ModuleDict({'aligners': aligners, 'losses': losses})

    def _build_response(self, response):
        idle = [name for name in self.distill['aligners'] if name not in self.distill['losses']]
        if response is not None:
            if 'head' not in self.distill['aligners']:
                raise ValueError(f"response needs a level 'head', levels has {', '.join(self.distill['aligners'])}")
            idle = [name for name in idle if name != 'head']
        if idle:
            raise ValueError(f'levels: {", ".join(idle)} has an aligner that nothing uses, give it a loss or remove it')
        if response is not None:
            self.distill['response'] = build_loss(response)

    @property
    def response(self):
        """The response loss, or None. It is held under ``distill``: parameters of its own belong to no student."""
        return getattr(self.distill, 'response', None)

    def _inherit_head(self):
        if self.inherit_head:
            wiring.inherit_task_heads(self.student.pts_bbox_head, self.teacher.pts_bbox_head)

    def init_weights(self):
        """Initialise the student, then give it the teacher's task heads."""
        super().init_weights()
        self._inherit_head()

    def checkpoint_meta(self):
        """What every checkpoint of a run should say: which teacher it was distilled from."""
        return dict(teacher=self.teacher.info.as_meta())

    def _apply(self, fn, *args, **kwargs):
        """Device moves reach the teacher too, although it is no submodule."""
        self.teacher.apply_to_tensors(fn)
        return super()._apply(fn, *args, **kwargs)

    @auto_fp16(apply_to=('img',))
    def forward(self, return_loss=True, **batch):
        """Losses of a collated batch, or the student's detections with ``return_loss=False``.

        Points keep float32 under fp16 training: in half precision a coordinate of 50 m is off by centimetres.
        """
        return self.forward_train(**batch) if return_loss else self.forward_test(**batch)

    def forward_train(self, **batch):
        """Named losses of a collated batch: the student's own, ``distill.<level>.*`` and ``crd.*``.

        Names with 'loss' are weighted and trained on; ``raw_*`` is the same term with weight 1, for the log.
        """
        student = self.student.extract_bev(batch)
        losses = dict(self.student.loss_from_bev(student, batch))
        teacher = self.teacher.extract_bev(batch)
        teacher_preds = self._teacher_predictions(teacher)
        aligned = {name: aligner(student.level(name)) for name, aligner in self.distill['aligners'].items()}
        losses.update(self._feature_losses(aligned, teacher, teacher_preds, batch))
        if self.response is not None:
            cross_preds = self.teacher.respond(aligned['head'])
            response = self.response(self.teacher.pts_bbox_head, cross_preds, teacher_preds, batch['img_metas'])
            losses.update({f'crd.{name}': value for name, value in response.items()})
        return losses

    def _teacher_predictions(self, teacher):
        needed = any(loss.needs_false_positives for loss in self.distill['losses'].values())
        if self.response is None and not needed:
            return None
        with torch.no_grad():
            return self.teacher.respond(teacher.neck)

    def _heatmaps(self, teacher_preds, batch):
        """Maximum over classes of target and teacher heatmap, each (B, H, W) float32 in [0, 1]."""
        predicted = torch.cat([preds['heatmap'] for (preds,) in teacher_preds], dim=1)
        labels = [label.to(predicted.device) for label in batch['gt_labels_3d']]
        target = torch.cat(self.teacher.pts_bbox_head.heatmap_targets(batch['gt_bboxes_3d'], labels), dim=1)
        return dict(gt_heatmap=target.amax(dim=1), teacher_heatmap=predicted.sigmoid().amax(dim=1))

    def _feature_losses(self, aligned, teacher, teacher_preds, batch):
        feature_losses = self.distill['losses']
        fp_inputs = {}
        if any(loss.needs_false_positives for loss in feature_losses.values()):
            fp_inputs = self._heatmaps(teacher_preds, batch)
        losses = {}
        for name, loss in feature_losses.items():
            target = teacher.level(name)
            regions = build_regions(
                batch['gt_bboxes_3d'],
                wiring.level_grid(self.teacher_levels[name], self.teacher.point_cloud_range),
                cell_anchor=loss.cell_anchor,
                fp_threshold=loss.fp_threshold,
                device=target.device,
                **(fp_inputs if loss.needs_false_positives else {}),
            )
            losses.update(
                {f'distill.{name}.{term}': value for term, value in loss(aligned[name], target, regions).items()}
            )
        return losses

    def forward_test(self, **batch):
        """The student's detections."""
        return self.student.forward_test(**batch)

    def simple_test(self, img_metas, **batch):
        """The student's detections."""
        return self.student.simple_test(img_metas, **batch)

    def aug_test(self, *args, **kwargs):
        """The student's answer to test-time augmentation."""
        return self.student.aug_test(*args, **kwargs)

    def extract_feat(self, *args, **kwargs):
        """The student's answer to mmdet's feature interface."""
        return self.student.extract_feat(*args, **kwargs)
