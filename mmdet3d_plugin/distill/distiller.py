"""DualDistill: trains a camera BEV student beside a frozen LiDAR teacher."""

import copy

from mmcv.runner import auto_fp16
from mmdet3d.models import build_detector
from mmdet3d.models.builder import DETECTORS, build_loss
from mmdet3d.models.detectors import Base3DDetector
from torch import nn

from . import wiring
from .aligners import build_aligner
from .comparison import compare
from .loss_groups import loss_groups, scale_distillation, warmup_factor
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
        warmup_iters (int): let all distillation losses grow linearly over this many iterations; 0 for none.
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
        warmup_iters=0,
        train_cfg=None,
        test_cfg=None,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        if train_cfg is not None or test_cfg is not None:
            raise ValueError('DualDistill takes no train_cfg or test_cfg: put them into model.student')
        if warmup_iters < 0:
            raise ValueError(f'warmup_iters counts iterations and cannot be {warmup_iters}: 0 is no warm-up')
        self.student = build_detector(copy.deepcopy(student))
        self.teacher = FrozenTeacher(**teacher)
        wiring.check_same_extent(self.student, self.teacher)
        wiring.check_same_classes(self.student, self.teacher)
        wiring.check_heads(self.student, self.teacher)
        self._build_levels(levels)
        self._build_response(response)
        self.warmup_iters, self.iteration = warmup_iters, None
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

    def train_step(self, data, optimizer):
        """mmdet's, and ``loss_groups``: the trained loss in two parts, for diagnostics."""
        losses = self(**data)
        loss, log_vars = self._parse_losses(losses)
        return dict(loss=loss, log_vars=log_vars, num_samples=len(data['img_metas']), loss_groups=loss_groups(losses))

    def set_iteration(self, iteration):
        """Tell the distiller which iteration (from 0) it trains; ``warmup_iters`` counts on it."""
        self.iteration = iteration

    def _warmup_factor(self):
        if self.warmup_iters and self.iteration is None:
            raise ValueError(
                f'warmup_iters={self.warmup_iters} needs to know the iteration: add dict(type="SetIterationHook") to '
                f'custom_hooks'
            )
        return warmup_factor(self.iteration, self.warmup_iters)

    def forward_train(self, **batch):
        """Named losses of a collated batch: the student's own, ``distill.<level>.*`` and ``crd.*``.

        Names with 'loss' are weighted and trained on; ``raw_*`` is the same term with weight 1, for the log.
        """
        views = self.compare(batch)
        losses = dict(self.student.loss_from_bev(views.student, batch))
        for name, loss in self.distill['losses'].items():
            terms = loss(views.aligned[name], views.teacher.level(name), views.regions[name])
            losses.update({f'distill.{name}.{term}': value for term, value in terms.items()})
        if self.response is not None:
            terms = self.response(
                self.teacher.pts_bbox_head, views.cross_preds, views.teacher_preds, batch['img_metas']
            )
            losses.update({f'crd.{term}': value for term, value in terms.items()})
        return scale_distillation(losses, self._warmup_factor())

    def compare(self, batch):
        """What student and teacher say about a collated batch, see :class:`Comparison`."""
        return compare(self.student, self.teacher, self.distill, self.teacher_levels, batch)

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
