"""The frozen teacher: strict loading, always in eval mode, and invisible to whatever trains or saves the student."""

from __future__ import annotations

import contextlib
import copy
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

import torch
from mmcv import Config
from mmdet3d.models import build_detector
from mmdet3d.utils import get_root_logger
from torch import Tensor

from ..checkpoints.checkpoint_findings import checkpoint_findings
from ..checkpoints.files import file_sha256, load_strictly, read_checkpoint
from ..checkpoints.findings import MEANING, judge
from ..checkpoints.teacher_record import read_record
from ..models.detectors.base import BEVDetector
from ..models.heads.base import BEVHead, Predictions
from ..models.initial_weights import initialise
from ..structures import BEVFeatures, BEVLevel
from .teacher_cache import TeacherCache


@dataclass(frozen=True)
class TeacherInfo:
    """Where a teacher comes from.

    Attributes:
        config: config file.
        checkpoint: checkpoint file, None for random weights.
        sha256: hash of the checkpoint file, hexadecimal.
        num_keys: parameters and buffers loaded.
        epoch: epoch of the checkpoint, when its meta tells.
        metrics: what is known of its quality: 'mAP' and 'NDS' measured by tools/analysis_tools/verify_teacher.py, else
            what the checkpoint's meta tells, 'mAP' or 'best score'.
        verdicts: check -> 'ok', 'wrong' or 'unknown', see :mod:`mmdet3d_plugin.checkpoints.checkpoint_findings`.
    """

    config: str
    checkpoint: str | None = None
    sha256: str | None = None
    num_keys: int = 0
    epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)

    def as_meta(self) -> dict[str, Any]:
        """Plain values for the meta of the student's checkpoints."""
        return asdict(self)

    def __str__(self) -> str:
        if self.checkpoint is None or self.sha256 is None:
            return f'{self.config}, RANDOM weights'
        text = f'{self.config}, {self.checkpoint} (sha256 {self.sha256[:12]}), all {self.num_keys} keys loaded'
        text += '' if self.epoch is None else f', epoch {self.epoch}'
        text += ''.join(f', {name} {value:.4f}' for name, value in self.metrics.items())
        return text + ''.join(f', {check} {verdict}' for check, verdict in self.verdicts.items())


class FrozenTeacher:
    """A detector that only answers.

    Not a ``torch.nn.Module`` on purpose: a distiller that holds it has no extra parameters, buffers or state, so the
    optimizer, DistributedDataParallel, checkpoints and ``train()`` never meet it. The distiller forwards device moves
    through :meth:`apply_to_tensors`. It always runs in float32, in eval mode.

    Args:
        config: config file of the teacher, relative to the working directory.
        checkpoint: its weights.
        cfg_options: overrides of the config file, with dotted keys as ``--cfg-options`` takes them.
        allow_random_weights: must be True to go without a checkpoint, or with one of untrained weights.
        cache: ``dir``, a folder that keeps its maps from one epoch, and one run, to the next, see
            :class:`TeacherCache`; None computes them each time.

    Raises:
        FileNotFoundError: no such config or checkpoint.
        ValueError: no checkpoint, one that does not fit the config, or one that certainly teaches nonsense: untrained
            weights, another class order, range or kind of velocity, boxes of mmdet3d before 1.0.
    """

    def __init__(
        self,
        *,
        config: str,
        checkpoint: str | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        allow_random_weights: bool = False,
        cache: Mapping[str, Any] | None = None,
    ) -> None:
        if not os.path.isfile(config):
            raise FileNotFoundError(f'teacher config {config!r} not found: give it relative to where you run from')
        cfg = Config.fromfile(config)
        if cfg_options:
            cfg.merge_from_dict(dict(cfg_options))
        if not checkpoint and not allow_random_weights:
            raise ValueError(
                f'teacher {config!r} has no checkpoint: set model.teacher.checkpoint to its weights, or, to distill '
                f'from an untrained teacher for a test, model.teacher.allow_random_weights=True'
            )
        self.module: BEVDetector = build_detector(copy.deepcopy(cfg.model), cfg.get('train_cfg'), cfg.get('test_cfg'))
        if checkpoint:
            self.info = self._load(config, checkpoint, allow_random_weights)
        else:
            initialise(self.module)
            self.info = TeacherInfo(config)
            warnings.warn(f'teacher {config!r} runs with RANDOM weights: nothing useful can be learned from it')
        self.module.requires_grad_(False).eval()
        get_root_logger().info(f'teacher {type(self.module).__name__}: {self.info}')
        self.cache = None if cache is None else TeacherCache(self.module, cfg.model, **cache)

    def _load(self, config, checkpoint, allow_random_weights):
        state, meta = read_checkpoint(checkpoint)
        load_strictly(self.module, state, checkpoint, config)
        findings = checkpoint_findings(self.module, state, meta)
        self._judge(findings, checkpoint, allow_random_weights)
        sha256 = file_sha256(checkpoint)
        best = (meta.get('hook_msgs') or {}).get('best_score')
        found: Mapping[str, float | None] = read_record(checkpoint, sha256) or {
            'mAP': meta.get('mAP'),
            'best score': best,
        }
        return TeacherInfo(
            config=config,
            checkpoint=checkpoint,
            sha256=sha256,
            num_keys=len(state),
            epoch=meta.get('epoch'),
            metrics={name: float(value) for name, value in found.items() if value is not None},
            verdicts={finding.check: finding.verdict for finding in findings},
        )

    @staticmethod
    def _judge(findings, checkpoint, allow_random_weights):
        what = f'teacher checkpoint {checkpoint!r}'
        judge(findings, what, MEANING, get_root_logger())
        for finding in findings:
            if finding.check == 'weights' and finding.verdict == 'wrong' and not allow_random_weights:
                raise ValueError(
                    f'{what}: weights: {finding.text}. For a test: model.teacher.allow_random_weights=True'
                )

    @property
    def head(self) -> BEVHead:
        """The detection head; its parameters are frozen too."""
        return self.module.head

    @property
    def inputs(self) -> frozenset[str]:
        """Keys of the batch that it reads."""
        return self.module.inputs

    def bev_levels(self) -> dict[str, BEVLevel]:
        """Sizes and places of the BEV maps by level name."""
        return self.module.bev_levels()

    def apply_to_tensors(self, fn: Callable[[Tensor], Tensor]) -> None:
        """``Module._apply`` of the teacher: how device moves reach it."""
        self.module._apply(fn)

    @contextlib.contextmanager
    def _inference(self):
        self.module.eval()  # whatever happened to it in between
        device = next(self.module.parameters()).device
        with torch.autocast(device.type, enabled=False):
            yield

    def extract_bev(self, batch: Mapping[str, Any], names: Iterable[str] | None = None) -> BEVFeatures:
        """BEV features of a collated batch, without gradients.

        Args:
            batch: collated batch.
            names: levels that will be looked at beside the one that the head reads; a cache keeps no others.
        """
        with torch.no_grad(), self._inference():
            return self.module.extract_bev(batch) if self.cache is None else self.cache.extract_bev(batch, names)

    def respond(self, bev_map: Tensor, metas: Sequence[Mapping[str, Any]]) -> Predictions:
        """The frozen head's predictions on a (B, C, H, W) map; differentiable with respect to the map."""
        with self._inference():
            return self.module.head.predict(bev_map.float(), metas)

    def respond_lazily(self, bev_map: Tensor, metas: Sequence[Mapping[str, Any]]) -> Predictions:
        """:meth:`respond` for a loss that reads little of it: a loss on boxes reads a few cells."""
        with self._inference():
            return self.module.head.predict_lazily(bev_map.float(), metas)
