"""What a distiller compares on one sample, as panels."""

import numpy as np
import torch

from ..structures.boxes import Boxes
from .bev_maps import colourise, map_panel, region_panel


def energy(feature):
    """Mean over channels of absolute values: (B, C, H, W) -> (H, W) float32 array of the first sample."""
    return feature[0].float().abs().mean(dim=0).cpu().numpy()


def truth_boxes(batch, class_names):
    """Ground truth of the first sample as :class:`Boxes`, in the batch's own (augmented) frame."""
    boxes, labels = batch['gt_bboxes_3d'][0], batch['gt_labels_3d'][0].tolist()
    values = torch.cat([boxes.gravity_center, boxes.tensor[:, 3:7]], dim=1).cpu().numpy().astype(np.float64)
    return Boxes(values, [class_names[label] if label >= 0 else '' for label in labels])


def distill_rows(model, batch, truth, height):
    """Panels of a distiller's view of the first sample of a batch.

    One row a level: energy of the student's map before and after its aligner and of the teacher's (the last two on one
    scale), then regions, region scale, attention and weighted loss of each cell, for losses that can tell them; and one
    row of confidences, best class of each cell, from 0 to 1.

    Args:
        model (DualDistill): In evaluation mode.
        batch (dict): Collated batch.
        truth (Boxes): See :func:`truth_boxes`.
        height (int): Height of each map, px.

    Returns:
        dict[str, list[np.ndarray]]: Heading -> panels, (H, W, 3) uint8 RGB.

    Raises:
        ValueError: no level is distilled.
    """
    if not model.entries:
        raise ValueError('the teacher of this config only labels: no maps are compared, so there is nothing to draw')
    bev_range = next(iter(model.teacher_grids.values())).extent

    def panel(values, caption, highest=None):
        return map_panel(colourise(values, highest), caption, bev_range, height, truth)

    with torch.no_grad():
        views = model.compare(batch)
        rows = {}
        for name, aligned in views.aligned.items():
            student, teacher = views.student.level(model.entries[name].student), views.target[name]
            heading = f'{name}: student {_size(student)}, aligned and teacher {_size(teacher)}'
            rows[heading] = _energy_panels(panel, student, aligned, teacher)
            if name in views.regions:
                loss, regions = model.distill['losses'][name], views.regions[name]
                rows[heading].append(
                    region_panel(*(_first(mask) for mask in (regions.fg, regions.fp)), 'regions: FG green,\nFP red, BG',
                                 bev_range, height, truth)
                )  # fmt: skip
                rows[heading] += _loss_panels(panel, loss, aligned, teacher, regions)
        rows['confidence, best class of each cell, dark 0 to bright 1'] = _confidence_panels(panel, model, views, batch)
    return rows


def _size(feature):
    return '{}@{}x{}'.format(*feature.shape[1:])


def _first(values):
    return values[0].cpu().numpy()


def _energy_panels(panel, student, aligned, teacher):
    before, after, target = (energy(feature) for feature in (student, aligned, teacher))
    highest = max(after.max(), target.max())
    return [
        panel(before, f'student, mean |F|\nmax {before.max():.3g}'),
        panel(after, f'aligned student\nmax {after.max():.3g}', highest),
        panel(target, f'teacher, same scale\nmax {target.max():.3g}', highest),
    ]


def _loss_panels(panel, loss, aligned, teacher, regions):
    """Scale, attention and loss of each cell; nothing for a loss that cannot tell them."""
    if not hasattr(loss, 'cell_terms'):
        return []
    aligned, teacher = aligned.float(), teacher.float()
    scale = _first(sum(loss.region_weights(regions).values()))
    attention = _first(loss.cell_weights(aligned, teacher))
    terms = loss.cell_terms(aligned, teacher, regions)
    cells = _first(sum(loss.weight(name) * values for name, values in terms.items()))
    # few cells hold most of it: roots show the others too, and the loss is cut at its 99th percentile
    return [
        panel(np.sqrt(scale), f'scale (root)\nmax {scale.max():.3g}'),
        panel(attention, f'attention\nmax {attention.max():.3g}'),
        panel(
            np.sqrt(cells),
            f'loss of a cell (root)\nsum {cells.sum():.3g}, max {cells.max():.1g}',
            np.sqrt(np.quantile(cells, 0.99)),
        ),
    ]


def _confidence_panels(panel, model, views, batch):
    """Best class of each cell by ground truth, by the teacher's head on both maps, and by the student's head."""
    theirs, ours, metas = model.teacher.head, model.student.head, batch['img_metas']
    grid = theirs.confidence_grid or model.teacher_grids[model.response_level or list(model.entries)[-1]]
    labels = [label.to(views.teacher.head_map.device) for label in batch['gt_labels_3d']]
    maps = {'ground truth': theirs.target_confidence(batch['gt_bboxes_3d'], labels, grid)}
    if views.teacher_preds is not None:
        maps['teacher'] = theirs.confidence(views.teacher_preds, grid)
    if views.cross_preds is not None:
        maps['cross: teacher head\non aligned student'] = theirs.confidence(views.cross_preds, grid)
    preds = ours.predict(views.student.head_map, metas)
    maps['student'] = ours.confidence(preds, ours.confidence_grid or grid)
    return [
        panel(values, caption if '\n' in caption else f'{caption}\nmax {values.max():.2f}', 1.0)
        for caption, values in ((caption, _first(scores)) for caption, scores in maps.items())
    ]
