"""All that student and teacher say about one batch, before it becomes losses."""

from dataclasses import dataclass
from typing import Optional

import torch

from ..models.bev_features import BEVFeatures
from .regions import build_regions
from .wiring import level_grid


@dataclass
class Comparison:
    """Maps of one batch.

    Attributes:
        student, teacher: BEVFeatures of both.
        aligned: level name -> (B, C_T, H_T, W_T) student map after its aligner.
        regions: level name -> Regions, for the levels with a feature loss.
        teacher_preds: the teacher head's predictions on its own neck, per task a list with one dict of maps; None when
            no loss asks for them.
        cross_preds: the same head's predictions on ``aligned['head']``, regression computed where it is read; None
            without a response loss.
    """

    student: BEVFeatures
    teacher: BEVFeatures
    aligned: dict
    regions: dict
    teacher_preds: Optional[tuple] = None
    cross_preds: Optional[tuple] = None


def compare(student, teacher, parts, teacher_levels, batch):
    """Run both detectors on a collated batch.

    Args:
        student (nn.Module): answers ``extract_bev``.
        teacher (FrozenTeacher): its counterpart.
        parts (nn.ModuleDict): 'aligners' and 'losses' by level name, and 'response' where there is one.
        teacher_levels (dict): level name -> BEVLevel of the teacher.
        batch (dict): collated batch.

    Returns:
        Comparison
    """
    ours, theirs = student.extract_bev(batch), teacher.extract_bev(batch)
    wants_response, feature_losses = 'response' in parts, parts['losses']
    needs_fp = any(loss.needs_false_positives for loss in feature_losses.values())
    teacher_preds = None
    if wants_response or needs_fp:
        with torch.no_grad():
            teacher_preds = teacher.respond(theirs.neck)
    aligned = {name: aligner(ours.level(name)) for name, aligner in parts['aligners'].items()}
    heatmaps = _best_of_classes(teacher, teacher_preds, batch) if needs_fp else {}
    regions = {
        name: build_regions(
            batch['gt_bboxes_3d'],
            level_grid(teacher_levels[name], teacher.point_cloud_range),
            cell_anchor=loss.cell_anchor,
            fp_threshold=loss.fp_threshold,
            device=theirs.level(name).device,
            **(heatmaps if loss.needs_false_positives else {}),
        )
        for name, loss in feature_losses.items()
    }
    cross_preds = teacher.respond_lazily(aligned['head']) if wants_response else None
    return Comparison(ours, theirs, aligned, regions, teacher_preds, cross_preds)


def _best_of_classes(teacher, teacher_preds, batch):
    """Maximum over classes of target and teacher heatmap, each (B, H, W) float32 in [0, 1]."""
    predicted = torch.cat([preds['heatmap'] for (preds,) in teacher_preds], dim=1)
    labels = [label.to(predicted.device) for label in batch['gt_labels_3d']]
    target = torch.cat(teacher.pts_bbox_head.heatmap_targets(batch['gt_bboxes_3d'], labels), dim=1)
    return dict(gt_heatmap=target.amax(dim=1), teacher_heatmap=predicted.sigmoid().amax(dim=1))
