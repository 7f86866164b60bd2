"""Region-weighted feature loss between an aligned student map and the teacher's map."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..regions import Regions
from ..registry import DISTILL
from .base import FeatureLoss

ATTENTIONS = ('teacher_student', 'teacher', None)
SPREADS = ('object', 'region', 'map')


def cell_attention(feature: Tensor, temperature: float) -> Tensor:
    """A(F) = HW * softmax over cells of (mean_c |F| / temperature): (B, C, H, W) -> (B, H, W), mean 1 per sample."""
    energy = feature.abs().mean(dim=1)
    weights = (energy / temperature).flatten(1).softmax(dim=1)
    return (weights * weights.shape[1]).view_as(energy)


def channel_attention(feature: Tensor, temperature: float) -> Tensor:
    """C * softmax over channels of (mean_hw |F| / temperature): (B, C, H, W) -> (B, C, 1, 1), mean 1 per sample."""
    energy = feature.abs().mean(dim=(2, 3))
    weights = (energy / temperature).softmax(dim=1)
    return (weights * weights.shape[1])[:, :, None, None]


def spread_evenly(
    cell_weights: Mapping[str, Tensor], masks: Mapping[str, Tensor], region_weights: Mapping[str, float], spread: str
) -> Mapping[str, Tensor]:
    """Even out the weights of a sample's cells while each sample keeps their sum (ablations of the region weighting).

    Args:
        cell_weights: region -> (B, H, W) mask times scale.
        masks: region -> (B, H, W) mask, 0 or 1.
        region_weights: region -> factor that the caller multiplies its term with, positive.
        spread: 'object' leaves the weights as they are, 'region' gives the cells of a region their mean, 'map'
            gives all cells of the given regions one and the same, factor included.

    Returns:
        region -> (B, H, W) weights.
    """
    if spread == 'object':
        return cell_weights

    def mean(total, count):
        return total.sum(dim=(1, 2), keepdim=True) / count.sum(dim=(1, 2), keepdim=True).clamp(min=1.0)

    if spread == 'region':
        return {name: mean(cell_weights[name], mask) * mask for name, mask in masks.items()}
    common = mean(sum(region_weights[name] * cell_weights[name] for name in masks), sum(masks.values()))
    return {name: common / region_weights[name] * mask for name, mask in masks.items()}


@DISTILL.register_module()
class RegionWeightedFeatureLoss(FeatureLoss):
    """Squared feature distance, weighted by region, object size and attention, plus a spatial term.

    For each region r in (fg, bg, fp):  loss_r = w_r / B * sum (F_S - F_T)^2 * mask_r * scale_r * A. The spatial term is
    w_spatial / B * sum |mean_c F_T - conv3x3(mean_c F_S)|. Always computed in float32. Formulas: docs/method.md,
    "Feature loss".

    Args:
        fg_weight, bg_weight, fp_weight, spatial_weight: w of each term; 0 leaves the term out, and a zero
            ``fp_weight`` also leaves the false-positive region out of the partition (its cells are background).
        attention: 'teacher_student' (A(F_T) + r A(F_S)) / (1 + r), 'teacher' A(F_T), None for 1.
        student_ratio: r above.
        temperature: divisor inside the attention softmaxes.
        scale: False replaces the scales of the regions by 1 (ablation).
        spread: 'object': each cell has the scale of its box or region. Ablations, with the same sum of weights a
            sample: 'region': all cells of a region weigh the same; 'map': all cells of the map weigh the same.
        fp_channel_attention: multiply the false-positive term by the teacher's channel attention, as the
            released code does for this term only.
        loss_weight: factor of all terms.
    """

    def __init__(
        self,
        *,
        fg_weight: float = 6e-3,
        bg_weight: float = 4e-2,
        fp_weight: float = 0.0,
        spatial_weight: float = 2.5e-3,
        attention: str | None = 'teacher_student',
        student_ratio: float = 1.0,
        temperature: float = 0.5,
        scale: bool = True,
        spread: str = 'object',
        fp_channel_attention: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        if attention not in ATTENTIONS:
            raise ValueError(f'attention must be one of {ATTENTIONS}, got {attention!r}')
        if spread not in SPREADS:
            raise ValueError(f'spread must be one of {SPREADS}, got {spread!r}')
        if spread == 'map' and not (fg_weight and bg_weight):
            raise ValueError(
                f"spread='map' covers all cells: fg_weight and bg_weight must not be 0, got {fg_weight}, {bg_weight}"
            )
        weights = dict(fg=fg_weight, bg=bg_weight, fp=fp_weight, spatial=spatial_weight)
        if any(weight < 0 for weight in weights.values()) or not any(weights.values()):
            raise ValueError(f'weights must be >= 0 and not all 0, got {weights}')
        super().__init__(
            weights={name: weight for name, weight in weights.items() if weight > 0}, loss_weight=loss_weight
        )
        self.attention = attention
        self.student_ratio = student_ratio
        self.temperature = temperature
        self.scale = scale
        self.spread = spread
        self.fp_channel_attention = fp_channel_attention
        if 'spatial' in self.weights:
            self.spatial_conv = nn.Conv2d(1, 1, 3, padding=1)

    @property
    def needs_false_positives(self) -> bool:
        """Whether the caller must give the regions a false-positive part."""
        return 'fp' in self.weights

    @torch.no_grad()
    def cell_weights(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The attention A, (B, H, W), never differentiated."""
        if self.attention is None:
            return torch.ones_like(teacher[:, 0])
        attention = cell_attention(teacher, self.temperature)
        if self.attention == 'teacher_student':
            of_student = cell_attention(student, self.temperature)
            attention = (attention + self.student_ratio * of_student) / (1 + self.student_ratio)
        return attention

    def region_weights(self, regions: Regions) -> Mapping[str, Tensor]:
        """Mask times scale of each region with a weight: {'fg', 'bg'[, 'fp']} -> (B, H, W)."""
        masks = regions.masks()
        plain = {name: masks[name] for name in ('fg', 'bg', 'fp') if name in self.weights}
        scaled = regions.scaled_masks() if self.scale else plain
        return spread_evenly({name: scaled[name] for name in plain}, plain, self.weights, self.spread)

    def cell_terms(self, student: Tensor, teacher: Tensor, regions: Regions) -> dict[str, Tensor]:
        """What every cell adds to the unweighted region terms: {'fg', 'bg'[, 'fp']} -> (B, H, W)."""
        attention = self.cell_weights(student, teacher)
        squared = (student - teacher) ** 2
        per_cell = squared.sum(dim=1)
        terms = {}
        for name, mask in self.region_weights(regions).items():
            distance = per_cell
            if name == 'fp' and self.fp_channel_attention:
                distance = (squared * channel_attention(teacher, self.temperature)).sum(dim=1)
            terms[name] = distance * mask * attention
        return terms

    def terms(self, student: Tensor, teacher: Tensor, regions: Regions) -> dict[str, Tensor]:
        """Unweighted scalars for those of fg, bg, fp and spatial that have a weight."""
        cells = self.cell_terms(student, teacher, regions)
        terms = {name: values.sum() / len(student) for name, values in cells.items()}
        if 'spatial' in self.weights:
            adapted = self.spatial_conv(student.mean(dim=1, keepdim=True))
            terms['spatial'] = (teacher.mean(dim=1, keepdim=True) - adapted).abs().sum() / len(student)
        return terms

    def extra_repr(self) -> str:
        return f'weights={self.weights}, attention={self.attention!r}, spread={self.spread!r}'
