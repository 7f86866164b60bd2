"""A student and a teacher from another world: own level names, own sizes, a query head without heatmaps.

They derive from the two documented base classes and are registered like anybody's. The product does not know them.
"""

import torch
from mmdet3d.models.builder import DETECTORS, HEADS, build_head
from torch import nn
from torch.nn import functional as F

from mmdet3d_plugin.models.detectors import BEVDetector
from mmdet3d_plugin.models.heads import BEVHead
from mmdet3d_plugin.structures import BEVFeatures, BEVLevel, Detections

CLASSES = [
    *('car', 'truck', 'construction_vehicle', 'bus', 'trailer'),
    *('barrier', 'motorcycle', 'bicycle', 'pedestrian', 'traffic_cone'),
]
RANGE = (-19.2, -19.2, -5.0, 19.2, 19.2, 3.0)


@HEADS.register_module()
class QueryHead(BEVHead, nn.Module):
    """Each of a few queries looks at the mean of the map and says one box."""

    def __init__(self, in_channels, num_queries=12, point_range=RANGE):
        super().__init__()
        self.num_queries, self.point_range = num_queries, point_range
        self.body = nn.Linear(in_channels, 16)
        self.cls_branch = nn.Linear(16, num_queries * len(CLASSES))
        self.reg_branch = nn.Linear(16, num_queries * 10)

    @property
    def classes(self):
        return list(CLASSES)

    def predict(self, bev_map, metas):
        hidden = self.body(bev_map.float().mean(dim=(2, 3))).relu()
        queries = (len(bev_map), self.num_queries, -1)
        return dict(logits=self.cls_branch(hidden).view(queries), code=self.reg_branch(hidden).view(queries))

    def _boxes(self, code):
        x_min, y_min, _, x_max, y_max, _ = self.point_range
        low, high = code.new_tensor([x_min, y_min, -5.0]), code.new_tensor([x_max, y_max, 3.0])
        centre = low + code[..., :3].sigmoid() * (high - low)
        yaw = torch.atan2(code[..., 6], code[..., 7])[..., None]
        return torch.cat([centre, code[..., 3:6].clamp(-3, 3).exp(), yaw, code[..., 8:]], dim=-1)

    @torch.no_grad()
    def decode(self, predictions, metas, *, score_threshold=None, temperature=1.0, **options):
        results = []
        for logits, code, meta in zip(predictions['logits'], predictions['code'], metas):
            scores, labels = (logits / temperature).sigmoid().max(dim=-1)
            keep = scores > (score_threshold or 0.0)
            boxes = self._boxes(code[keep])
            boxes[:, 2] -= boxes[:, 5] / 2
            results.append(Detections(meta['box_type_3d'](boxes, box_dim=9), scores[keep], labels[keep]))
        return results

    def loss(self, predictions, boxes, labels, metas):
        cls, box = [], []
        for logits, code, truth, label in zip(predictions['logits'], predictions['code'], boxes, labels):
            target, count = torch.zeros_like(logits), min(len(label), self.num_queries)
            label, code = label[:count].to(logits.device), code[:count]
            target[range(count), label] = 1.0
            cls.append(F.binary_cross_entropy_with_logits(logits, target))
            centres = truth.gravity_center[:count].to(code)
            box.append((self._boxes(code)[:, :3] - centres).abs().sum() / max(count, 1))
        return dict(loss_cls=sum(cls) / len(cls), loss_centre=0.01 * sum(box) / len(box))

    def _draw(self, centres, scores, grid):
        away = (grid.centers(device=centres.device)[None] - centres[:, None, None, :2]).square().sum(dim=-1)
        return ((-away / 8).exp() * scores[:, None, None]).amax(dim=0)

    @torch.no_grad()
    def confidence(self, predictions, grid):
        scores = predictions['logits'].sigmoid().amax(dim=-1)
        return torch.stack([self._draw(self._boxes(c), s, grid) for c, s in zip(predictions['code'], scores)])

    def target_confidence(self, boxes, labels, grid):
        empty = torch.zeros(grid.size, device=labels[0].device)
        drawn = [
            self._draw(box.gravity_center.to(empty), torch.ones(len(label)).to(empty), grid) if len(label) else empty
            for box, label in zip(boxes, labels)
        ]
        return torch.stack(drawn)

    def inherit(self, other, parts=None):
        for part in parts or ('cls_branch', 'reg_branch'):
            getattr(self, part).load_state_dict(getattr(other, part).state_dict())


class _Foreign(BEVDetector):
    def __init__(self, head, train_cfg=None, test_cfg=None):
        super().__init__()
        self.query_head = build_head(head)

    @property
    def head(self):
        return self.query_head

    def loss_from_bev(self, bev, batch):
        return self.head_losses(bev, batch)


@DETECTORS.register_module()
class ForeignStudent(_Foreign):
    """Mean colours of the first camera, spread over a BEV plane: levels 'coarse' (4@6x6) and 'bird' (8@12x12)."""

    inputs = frozenset({'img'})

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lift = nn.Conv2d(3, 4, 3, padding=1)
        self.refine = nn.Conv2d(4, 8, 3, padding=1)

    def bev_levels(self):
        sizes = dict(bird=(8, 12, 12), coarse=(4, 6, 6))
        return {name: BEVLevel.from_range(RANGE, *size) for name, size in sizes.items()}

    def extract_bev(self, batch):
        coarse = self.lift(F.adaptive_avg_pool2d(batch['img'][:, 0, 0], 6)).relu()
        bird = self.refine(F.interpolate(coarse, scale_factor=2.0)).relu()
        return BEVFeatures(dict(bird=bird, coarse=coarse), head_input='bird')


@DETECTORS.register_module()
class ForeignTeacher(_Foreign):
    """Counts of points in 24x24 cells: levels 'counts' (6@24x24) and 'fused' (10@24x24)."""

    inputs = frozenset({'points'})

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = nn.Conv2d(1, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 10, 3, padding=1)

    def bev_levels(self):
        sizes = dict(counts=(6, 24, 24), fused=(10, 24, 24))
        return {name: BEVLevel.from_range(RANGE, *size) for name, size in sizes.items()}

    def extract_bev(self, batch):
        counts = torch.stack([self._histogram(points) for points in batch['points']])
        first = self.first(counts).relu()
        return BEVFeatures(dict(counts=first, fused=self.second(first).relu()), head_input='fused')

    @staticmethod
    def _histogram(points):
        cells = ((points[:, :2] - RANGE[0]) / 1.6).long()
        cells = cells[((cells >= 0) & (cells < 24)).all(dim=1)]
        plane = torch.zeros(24 * 24, device=points.device)
        plane.index_add_(0, cells[:, 1] * 24 + cells[:, 0], torch.ones(len(cells), device=points.device))
        return plane.log1p().view(1, 24, 24)
