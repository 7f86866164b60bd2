"""What detections on annotated samples tell of a detector: class order and box convention."""

import math
from dataclasses import dataclass

import torch

from ..checkpoints.findings import Finding
from ..checkpoints.told_by_meta import CONVERTER

_NEAR = 2.0  # metres between centres up to which a detection lies on an object
_ENOUGH = 10  # matched objects that a verdict needs
_OF_CLASS = 5  # matched detections that a class needs


@dataclass
class Matches:
    """Detections that lie on annotated objects, whatever their classes.

    Attributes:
        predicted, true: (M,) int64 labels.
        boxes, truth: (M, >=7) boxes (x, y, z, l, w, h, yaw, ...), metres and radians.
    """

    predicted: torch.Tensor
    true: torch.Tensor
    boxes: torch.Tensor
    truth: torch.Tensor


def match_detections(detections, annotations, min_score=0.3):
    """Give each annotated object the best-scored detection within 2 m of it.

    Args:
        detections (list[dict]): per sample ``boxes_3d``, ``scores_3d``, ``labels_3d``.
        annotations (list[tuple]): per sample (boxes, (K,) int64 labels).
        min_score (float): leave out detections below it.

    Returns:
        Matches
    """
    rows = []
    for detection, (boxes, labels) in zip(detections, annotations):
        sure = detection['scores_3d'] >= min_score
        found, classes = detection['boxes_3d'].tensor[sure], detection['labels_3d'][sure]
        scores = detection['scores_3d'][sure]
        if not len(found) or not len(boxes):
            continue
        near = torch.cdist(boxes.tensor[:, :2].float(), found[:, :2].float()) < _NEAR
        best = torch.where(near, scores[None], torch.full_like(scores, -1.0)[None]).argmax(dim=1)
        for index in near.any(dim=1).nonzero()[:, 0].tolist():
            pick = best[index]
            rows.append((classes[pick], labels[index], found[pick][:7], boxes.tensor[index][:7]))
    if not rows:
        return Matches(*(torch.zeros(0, dtype=torch.long) for _ in range(2)), torch.zeros(0, 7), torch.zeros(0, 7))
    return Matches(*(torch.stack([torch.as_tensor(value) for value in column]) for column in zip(*rows)))


def class_behaviour(matches, class_names):
    """Whether detections of each class lie on objects of that class, or mostly on those of another.

    Args:
        matches (Matches): see :func:`match_detections`.
        class_names (Sequence[str]): names of the labels.

    Returns:
        Finding
    """
    wrong, right = [], 0
    for label, name in enumerate(class_names):
        true = matches.true[matches.predicted == label]
        true = true[true >= 0]
        if len(true) < _OF_CLASS:
            continue
        counts = torch.bincount(true, minlength=len(class_names))
        major = int(counts.argmax())
        if major == label:
            right += 1
        elif 2 * int(counts[major]) > len(true):
            wrong.append(f'{name!r} lies on {class_names[major]!r} in {int(counts[major])} of {len(true)} cases')
    if wrong:
        text = f'{"; ".join(wrong)}: the file has another class order than the config'
        return Finding('classes on data', 'wrong', text)
    if not right:
        return Finding('classes on data', 'unknown', f'no class has {_OF_CLASS} detections on annotated objects')
    return Finding('classes on data', 'ok', f'{right} classes lie on their own objects')


def box_behaviour(matches):
    """Whether sizes and yaws fit the annotations as they are, or read as w, l, h and yaw = -yaw - pi/2.

    Only clearly longish objects count; yaw is compared without its sign of direction.

    Returns:
        Finding
    """
    ratio = (matches.truth[:, 3] / matches.truth[:, 4]).log().abs() if len(matches.truth) else torch.zeros(0)
    longish = ratio > 0.3
    if int(longish.sum()) < _ENOUGH:
        return Finding('boxes on data', 'unknown', f'fewer than {_ENOUGH} detections lie on longish objects')
    boxes, truth = matches.boxes[longish], matches.truth[longish]
    swapped = boxes[:, [0, 1, 2, 4, 3, 5, 6]].clone()
    swapped[:, 6] = -boxes[:, 6] - math.pi / 2
    (size, yaw), (old_size, old_yaw) = (_errors(candidate, truth) for candidate in (boxes, swapped))
    shown = (
        f'sizes off by {size:.2f} (log) and yaw by {yaw:.2f} rad on {len(truth)} objects, '
        f'read as before mmdet3d 1.0 {old_size:.2f} and {old_yaw:.2f}'
    )
    if old_size < 0.5 * size and old_yaw < yaw:
        return Finding('boxes on data', 'wrong', f'{shown}: {CONVERTER}')
    return Finding('boxes on data', 'ok' if size < old_size and yaw < old_yaw else 'unknown', shown)


def _errors(boxes, truth):
    """Mean distance of log length and width, and of yaw modulo pi, radians."""
    size = (boxes[:, 3:5].log() - truth[:, 3:5].log()).abs().mean()
    turn = torch.remainder(boxes[:, 6] - truth[:, 6] + math.pi / 2, math.pi) - math.pi / 2
    return float(size), float(turn.abs().mean())
