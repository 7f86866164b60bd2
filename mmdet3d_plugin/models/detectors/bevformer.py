"""BEVFormer: camera-only BEV detector with a transformer and a memory, the second student (arXiv 2203.17270)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from mmdet3d.models import builder
from torch import Tensor, nn

from dualdistill_runtime.image_norm import ImageNorm

from ...checkpoints.camera_facts import camera_facts
from ...compat import no_grad
from ...structures import BEVFeatures, BEVLevel
from ..bev_transformer.pillar_projection import frame_projection
from ..bev_transformer.previous_map import TRANSLATION, YAW_CHANGE, Motion
from ..evaluating import evaluating
from ..grid_mask import GridMask
from ..heads.base import BEVHead
from ..pretrained import drop_missing_pretrained
from .base import BEVDetector
from .head_settings import build_bev_head
from .neck_check import check_neck_fits
from .scene_memory import FramePose, SceneMemory

# Of published weights, and not the order of the first family's batches.
BEVFORMER_CAMERAS = (
    'CAM_FRONT',
    'CAM_FRONT_RIGHT',
    'CAM_FRONT_LEFT',
    'CAM_BACK',
    'CAM_BACK_LEFT',
    'CAM_BACK_RIGHT',
)
MOTION_SOURCES = ('can', 'poses', 'zeros')
QUATERNIONS = ('full', 'w')


@builder.DETECTORS.register_module()
class BEVFormer(BEVDetector):
    """Images of a queue of frames -> BEV map, refined from frame to frame -> head.

    A batch with several frames brings its own history, as in training. At test a batch has one frame, and the frame
    before it is remembered: samples of a scene come in order, one at a time. With ``history=False`` every frame stands
    alone, in training and at test, which shows what the memory is worth.

    Published weights have the same parameters under other names:

    ============================================================== =====================================
    published                                                      here
    ============================================================== =====================================
    ``img_backbone.*``, ``img_neck.*``                              the same
    ``pts_bbox_head.bev_embedding.*``                               ``bev_encoder.bev_embedding.*``
    ``pts_bbox_head.positional_encoding.*``                         ``bev_encoder.positional_encoding.*``
    ``pts_bbox_head.transformer.{level_embeds,cams_embeds}``        ``bev_encoder.{level_embeds,cams_embeds}``
    ``pts_bbox_head.transformer.can_bus_mlp.*``                     ``bev_encoder.can_bus_mlp.*``
    ``pts_bbox_head.transformer.encoder.layers.*``                  ``bev_encoder.layers.*``
    ``pts_bbox_head.*`` (all others)                                the head's
    ============================================================== =====================================

    Args:
        img_backbone, img_neck: 2-D backbone and neck; the neck returns the encoder's number of levels.
        bev_encoder: :class:`BEVFormerEncoder`.
        pts_bbox_head: detection head.
        cameras: names in the order of the batch's N axis, for checkpoints: each camera has an embedding of its own.
        motion_source, quaternion, wrap_yaw: what the motion vector holds, as in the pipeline's :class:`LoadEgoMotion`.
            Checkpoints keep them. At test the change of yaw is taken here, and ``wrap_yaw`` brings it into (-180, 180]
            degrees.
        image_norm: ``mean``, ``std`` and ``to_rgb`` of the images, as in the pipeline's :class:`NormalizePad`; default
            as released. Checkpoints keep it.
        history: remember the frame before. Checkpoints keep it. Without, samples hold one frame (``queue_length=1``),
            in any order and number.
        grid_mask: arguments of :class:`GridMask`, which hides parts of the current training images; None: nothing.
        encoder_levels: layers of the encoder (from 0) whose maps are levels of their own, ``encoder0``, ...
        train_cfg, test_cfg: dicts whose ``pts`` section goes to the head.

    Raises:
        ValueError: parts that do not fit; names both sides.
    """

    inputs = frozenset({'img'})
    sequential = True

    def __init__(
        self,
        *,
        img_backbone: Mapping[str, Any],
        img_neck: Mapping[str, Any],
        bev_encoder: Mapping[str, Any],
        pts_bbox_head: Mapping[str, Any],
        cameras: Sequence[str] = BEVFORMER_CAMERAS,
        motion_source: str = 'can',
        quaternion: str = 'full',
        wrap_yaw: bool = True,
        image_norm: Mapping[str, Any] | None = None,
        history: bool = True,
        grid_mask: Mapping[str, Any] | None = None,
        encoder_levels: Sequence[int] = (),
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.cameras = tuple(cameras)
        self.motion_source = motion_source
        self.quaternion = quaternion
        self.wrap_yaw = wrap_yaw
        self.image_norm = ImageNorm(**(image_norm or {}))
        self.history = self.sequential = history
        self.encoder_levels = tuple(encoder_levels)
        self.img_backbone = builder.build_backbone(drop_missing_pretrained(img_backbone))
        self.img_neck = builder.build_neck(img_neck)
        self.bev_encoder = builder.build_neck(bev_encoder)
        self.grid_mask = None if grid_mask is None else GridMask(**grid_mask)
        self.pts_bbox_head = build_bev_head(pts_bbox_head, train_cfg, test_cfg)
        self.memory = SceneMemory()
        self._check()

    @property
    def head(self) -> BEVHead:
        """The detection head."""
        return self.pts_bbox_head

    @property
    def shared_module(self) -> nn.Module:
        """The encoder's last layer before any level: detection and distillation both go through it."""
        layers = self.bev_encoder.layers
        return layers[min((len(layers) - 1, *self.encoder_levels))]

    def bev_levels(self) -> dict[str, BEVLevel]:
        """'bev' is the encoder's output; 'encoder0', ... those of the layers asked for."""
        names = [*(f'encoder{layer}' for layer in self.encoder_levels), 'bev']
        return dict.fromkeys(names, self.bev_encoder.level)

    def meaning(self) -> dict[str, Any]:
        """Adds range and cells (metres), and what :func:`camera_facts` says of cameras, images and history."""
        encoder = self.bev_encoder
        facts = dict(super().meaning(), point_cloud_range=list(encoder.point_cloud_range))
        facts.update(bev_cell=[encoder.grid.cell_x, encoder.grid.cell_y])
        motion = (self.motion_source, self.quaternion, self.wrap_yaw) if encoder.reads_can_bus else None
        earlier = dict(alignment=encoder.alignment, shift_both=encoder.shift_both, motion=motion, history=self.history)
        return dict(facts, **camera_facts(self.cameras, self.image_norm, **earlier))

    def pipeline_settings(self) -> dict[tuple[str, str], Any]:
        """The cameras' order, how images are normalised, what the motion vector holds; one frame without history."""
        settings: dict[tuple[str, str], Any] = {('SelectKeyframeQueue', 'cameras'): self.cameras}
        settings.update({('NormalizePad', key): value for key, value in asdict(self.image_norm).items()})
        if not self.history:
            settings['SelectKeyframeQueue', 'queue_length'] = 1
        if self.bev_encoder.reads_can_bus:
            for key in ('motion_source', 'quaternion', 'wrap_yaw'):
                settings['LoadEgoMotion', key] = getattr(self, key)
        return settings

    def reset(self) -> None:
        """Forget the frame before."""
        self.memory.reset()

    def _check(self):
        encoder = self.bev_encoder
        if len(self.cameras) != encoder.num_cams or len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f'cameras must name {encoder.num_cams} cameras (bev_encoder.num_cams), got {self.cameras}')
        for name, known in (('motion_source', MOTION_SOURCES), ('quaternion', QUATERNIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f'{name} must be one of {known}, got {getattr(self, name)!r}')
        wrong = [layer for layer in self.encoder_levels if layer not in range(len(encoder.layers))]
        if wrong:
            raise ValueError(f'encoder_levels: there is no layer {wrong[0]}, the encoder has {len(encoder.layers)}')
        check_neck_fits('img_neck', self.img_neck, encoder.num_levels, encoder.level.channels)
        self.head.check_input(encoder.level)

    def extract_bev(self, batch: Mapping[str, Any]) -> BEVFeatures:
        """BEV maps of the current frames of a batch, with whatever history the batch itself holds.

        Earlier frames run from the oldest on, in evaluation mode and without gradients: their maps are constants of
        the step. Nothing is remembered from one call to the next.

        Args:
            batch: collated; ``img`` (B, F, N, 3, H, W), the current frame first, then newest to oldest; the geometry
                that :func:`frame_projection` reads; with several frames ``frame2cur`` (B, F, 4, 4) and ``has_prev``
                (B, F), whether frame f + 1 is the predecessor of frame f; ``can_bus`` (B, F, 18) where the encoder
                reads it.

        Raises:
            ValueError: several frames for a detector without history.
        """
        frames = batch['img'].shape[1]
        if frames > 1 and not self.history:
            raise ValueError(
                f'{type(self).__name__} with history=False looks at one frame, but a sample of the batch holds '
                f'{frames}: set queue_length=1 in SelectKeyframeQueue'
            )
        previous = self._history(batch) if frames > 1 else None
        return self._current_bev(batch, previous)

    def loss_from_bev(self, bev: BEVFeatures, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """The head's losses by name."""
        return self.head_losses(bev, batch)

    def simple_test(self, img_metas: Sequence[Mapping[str, Any]], **batch: Any) -> list[dict[str, Any]]:
        """Detections as of every detector; a batch of one frame is seen in the light of the frame before it.

        Raises:
            ValueError: several samples of one frame each.
            KeyError: ``img_metas`` lack what tells one frame from the next, see ``scene_memory.META_KEYS``.
        """
        batch['img_metas'] = img_metas
        samples, frames = batch['img'].shape[:2]
        if frames > 1 or not self.history:
            return self.detections(self.extract_bev(batch), img_metas)
        if samples > 1:
            raise ValueError(
                f'{type(self).__name__} remembers one scene, but the batch holds {samples} samples: test with '
                f'data.test_dataloader.samples_per_gpu=1 (data.val_dataloader for evaluation during training)'
            )
        return self.detections(self._remembering_bev(batch), img_metas)

    def _history(self, batch):
        """PreviousMap for the current frame."""
        bev, frames = None, batch['img'].shape[1]
        with no_grad(), evaluating(self.img_backbone, self.img_neck, self.bev_encoder):
            features = self._image_features(batch['img'][:, 1:])
            for frame in range(frames - 1, 0, -1):
                previous = None if bev is None else self._previous(batch, frame, bev)
                bev = self._maps(batch, frame, [level[:, frame - 1] for level in features], previous)[-1]
            return self._previous(batch, 0, bev)

    def _previous(self, batch, frame, bev):
        """PreviousMap of frame ``frame + 1``, brought into frame ``frame``."""
        frame2cur = batch['frame2cur'].double()
        prev2cur = torch.linalg.solve(frame2cur[:, frame], frame2cur[:, frame + 1])
        motion = Motion(prev2cur, self._can_bus(batch, frame), batch['bev_aug'])
        return self.bev_encoder.align(bev, batch['has_prev'][:, frame].bool(), motion)

    def _current_bev(self, batch, previous):
        images = batch['img'][:, :1]
        if self.grid_mask is not None:
            images = self.grid_mask(images)
        maps = self._maps(batch, 0, [level[:, 0] for level in self._image_features(images)], previous)
        levels = {f'encoder{layer}': maps[layer] for layer in self.encoder_levels}
        return BEVFeatures(dict(levels, bev=maps[-1]), head_input='bev')

    def _remembering_bev(self, batch):
        """Maps of one sample of one frame, of which the last is remembered."""
        pose = FramePose.of(batch['img_metas'][0], batch['bev_aug'][0].cpu().numpy())
        before = self.memory.recall(pose)
        batch = self._moving(batch, pose, before)
        previous = None
        if before is not None:
            prev2cur = torch.from_numpy(pose.moved_since(before.pose)).to(before.bev.device)[None]
            exists = torch.ones(1, dtype=torch.bool, device=before.bev.device)
            motion = Motion(prev2cur, self._can_bus(batch, 0), batch['bev_aug'])
            previous = self.bev_encoder.align(before.bev, exists, motion)
        bev = self._current_bev(batch, previous)
        self.memory.store(bev.head_map, pose)
        return bev

    def _moving(self, batch, pose, before):
        """The batch with the motion since the frame remembered in its ``can_bus``; zero without one."""
        if not self.bev_encoder.reads_can_bus:
            return batch
        can_bus = batch['can_bus'].clone()
        can_bus[..., TRANSLATION] = can_bus[..., YAW_CHANGE] = 0
        if before is not None:
            can_bus[..., TRANSLATION] = torch.from_numpy(pose.translation_since(before.pose)).to(can_bus)
            can_bus[..., YAW_CHANGE] = pose.yaw_change_since(before.pose, self.wrap_yaw)
        return dict(batch, can_bus=can_bus)

    def _maps(self, batch, frame, features, previous):
        """The map (B, C, rows, columns) after each layer, for L feature maps (B, N, C, h, w) of a frame."""
        pairs = self.bev_encoder.find_visible(frame_projection(batch, frame), batch['img'].shape[-2:])
        return self.bev_encoder(features, pairs, self._can_bus(batch, frame), previous)

    def _can_bus(self, batch, frame):
        return batch['can_bus'][:, frame] if self.bev_encoder.reads_can_bus else None

    def _image_features(self, images):
        """(B, F, N, 3, H, W) -> L maps (B, F, N, C, h, w); all images are one batch of the backbone."""
        features = self.img_neck(self.img_backbone(images.flatten(0, 2)))
        return [level.unflatten(0, images.shape[:3]) for level in features]
