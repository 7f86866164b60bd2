"""Published BEVFormer, LidarFormer and MVPFormer files: where weights of their BEV encoder go, and which have no use.

There the head owns the encoder; here the detector does, as ``bev_encoder``. Boxes: see ``legacy_queries.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from dualdistill_runtime.image_norm import ImageNorm

from .camera_facts import camera_facts
from .config_text import look_up, read_literals
from .told_by_meta import SERVED_BY

_HEAD = 'pts_bbox_head.'
_PLACES = {
    f'{_HEAD}bev_embedding.': 'bev_encoder.bev_embedding.',
    f'{_HEAD}positional_encoding.': 'bev_encoder.positional_encoding.',
    f'{_HEAD}transformer.encoder.layers.': 'bev_encoder.layers.',
    f'{_HEAD}transformer.can_bus_mlp.': 'bev_encoder.can_bus_mlp.',
    f'{_HEAD}transformer.cams_embeds': 'bev_encoder.cams_embeds',
    f'{_HEAD}transformer.level_embeds': 'bev_encoder.level_embeds',
}
_UNUSED = {
    'bev_encoder.level_embeds': 'no output ever depended on it',
    'bev_encoder.positional_encoding.': 'this encoder has no learned positions, its sines follow from the config',
}
_CAMERA_ROWS = 'bev_encoder.cams_embeds'
PUBLISHED_CAMERAS = (
    'CAM_FRONT',
    'CAM_FRONT_RIGHT',
    'CAM_FRONT_LEFT',
    'CAM_BACK',
    'CAM_BACK_LEFT',
    'CAM_BACK_RIGHT',
)
# slips of the released code included: its reference points were shifted in place, its quaternions held w alone
_PUBLISHED_ENCODER: dict[str, Any] = dict(alignment='released', shift_both=True)
_PUBLISHED_MOTION: dict[str, Any] = dict(motion_source='can', quaternion='w', wrap_yaw=False)


def encoder_name(key: str) -> str:
    """Name here of a published entry of the BEV encoder; any other name as it is."""
    place = next((prefix for prefix in _PLACES if key.startswith(prefix)), None)
    return key if place is None else _PLACES[place] + key[len(place) :]


def why_unused(target: str, own: Mapping[str, Tensor]) -> str | None:
    """Why a published entry, by its name here, has no use; None when it has one or nothing is known of it.

    Args:
        target: from :func:`encoder_name`.
        own: state dict of the model. Only a LiDAR teacher's encoder has neither level embeddings nor learned positions.
    """
    if target in own or 'bev_encoder.bev_embedding.weight' not in own or _CAMERA_ROWS in own:
        return None
    return next((reason for start, reason in _UNUSED.items() if target.startswith(start)), None)


def changed_value(target: str, value: Tensor, own: Tensor, cameras: Sequence[str] | None) -> tuple[Tensor, str]:
    """Value here of a published entry, and what was done to it ('' for nothing).

    Args:
        target: its name here.
        value: as published.
        own: the model's.
        cameras: names in the order of the model, for a camera detector that has such an order.
    """
    if target == _CAMERA_ROWS and cameras and sorted(cameras) == sorted(PUBLISHED_CAMERAS):
        order = [PUBLISHED_CAMERAS.index(name) for name in cameras]
        return value[order], '' if order == sorted(order) else "rows in the order of the config's cameras"
    if value.dim() == 5 and value.shape != own.shape and value.permute(1, 2, 3, 4, 0).shape == own.shape:
        return value.permute(1, 2, 3, 4, 0).contiguous(), "spconv 2's (out, z, y, x, in) -> (z, y, x, in, out)"
    return value, ''


def published_facts(detector: nn.Module, meta: Mapping[str, Any]) -> dict[str, str]:
    """What published BEVFormer weights mean and no weight shows, for checkpoints; empty for any other detector.

    Args:
        detector: the converted model; its cameras are those of the converted weights.
        meta: of the published file.
    """
    if not _is_bevformer(detector):
        return {}
    cameras: Any = detector.cameras
    motion = tuple(_PUBLISHED_MOTION.values())
    return camera_facts(cameras, _image_norm(meta), motion=motion, history=True, **_PUBLISHED_ENCODER)


def conversion_notes(detector: nn.Module, meta: Mapping[str, Any], config: str) -> list[str]:
    """What whoever converts a file should know, a line each.

    Args:
        detector: the converted model.
        meta: of the published file.
        config: name of the model's config file.
    """
    notes, other = [], settings_as_published(detector, meta)
    if other:
        notes.append(
            f'published BEVFormer weights were trained with {", ".join(other)}; {config} has it otherwise, and a test '
            f'with it refuses the file: {SERVED_BY}'
        )
    if hasattr(getattr(detector, 'pts_voxel_encoder', None), 'virtual_time'):
        notes.append(
            "published MVPFormer weights saw the LiDAR's ring index in the first label column of raw points, where the "
            'loaders here write 1: detections may differ from the published ones'
        )
    return notes


def settings_as_published(detector: nn.Module, meta: Mapping[str, Any]) -> list[str]:
    """Settings of a BEVFormer that are not those of published weights, in words for the reader; empty for any other.

    Args:
        detector: the converted model.
        meta: of the published file.
    """
    if not _is_bevformer(detector):
        return []
    encoder, norm = detector.bev_encoder, _image_norm(meta)
    wanted = [(encoder, 'bev_encoder.', name, value) for name, value in _PUBLISHED_ENCODER.items()]
    wanted += [(detector, '', name, value) for name, value in _PUBLISHED_MOTION.items()]
    other = [f'{where}{name}={value!r}' for part, where, name, value in wanted if getattr(part, name) != value]
    return other if detector.image_norm == norm else [*other, f'image_norm={asdict(norm)}']


def _is_bevformer(detector):
    return hasattr(getattr(detector, 'bev_encoder', None), 'cams_embeds')


def _image_norm(meta):
    """Of the config's text, which mmdet's users write as ``img_norm_cfg``; as released where it tells nothing."""
    told = look_up(read_literals(str(meta.get('config') or '')), 'img_norm_cfg')
    try:
        return ImageNorm(**told)
    except (TypeError, ValueError):
        return ImageNorm()
