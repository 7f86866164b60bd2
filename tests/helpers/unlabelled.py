"""Distillers of both families around toy models, and batches in which some samples have no labels."""

import torch
from mmdet3d.core.bbox import LiDARInstance3DBoxes

from helpers.batch import make_batch
from helpers.bevformer import CAMERAS, make_queue, toy_bevformer_cfg
from helpers.distill_fakes import level_cfgs, write_teacher
from helpers.query_heads import query_head_cfg
from helpers.toy_models import toy_bevdepth_cfg, toy_lidarformer_cfg

FAMILIES = ('bevdepth4d', 'bevformer')
IMAGE_SIZE = (32, 64)


def distiller_of(family, folder, **overrides):
    """Config of a distiller whose teacher lies in ``folder``: CenterPoint heads, or query heads on both sides.

    No dropout, so that losses of a part of a batch can be compared with those of the whole.
    """
    cfg = _bevdepth4d(folder) if family == 'bevdepth4d' else _bevformer(folder)
    return {**cfg, **overrides}


def _bevdepth4d(folder):
    return dict(
        type='DualDistill',
        student=toy_bevdepth_cfg(image_size=IMAGE_SIZE),
        teacher=write_teacher(folder),
        levels=level_cfgs(),
        response=dict(type='CrossHeadBoxLoss'),
        unlabelled=dict(score_threshold=0.2),
    )


def _bevformer(folder):
    transformer = dict(type='QueryTransformer', num_layers=2, num_heads=4, feedforward_channels=32, dropout=0.0)
    head = query_head_cfg(16, transformer=transformer)
    train_cfg = dict(pts=head.pop('train_cfg'))
    loss = dict(type='RegionWeightedFeatureLoss', fp_weight=6e-2, attention='teacher')
    entry = dict(aligner=dict(type='Conv1x1Aligner'), loss=loss, regions=dict(fp_threshold=0.4))
    return dict(
        type='DualDistill',
        student=toy_bevformer_cfg(dict(dropout=0.0), pts_bbox_head=head, train_cfg=train_cfg, test_cfg=None),
        teacher=write_teacher(folder, cfg=toy_lidarformer_cfg(head=query_head_cfg(16))),
        levels=dict(bev=entry),
        response=dict(type='CrossHeadQueryLoss', level='bev', score_threshold=0.3),
        inherit_head=['branches', 'decoder'],
        unlabelled=dict(score_threshold=0.55),
    )


def batch_for(family, size=3, seed=0):
    """A labelled batch for the student and the teacher of a family."""
    if family == 'bevdepth4d':
        return make_batch(size, num_cams=2, image_size=IMAGE_SIZE, num_boxes=[4, 6, 3, 5][:size], seed=seed)
    batch = make_queue(size, num_frames=2, image_size=IMAGE_SIZE, seed=seed)
    assert batch['img'].shape[2] == len(CAMERAS)
    del batch['ego2global']
    return batch


def samples_of(batch, indices):
    """The batch of some of its samples."""
    return {
        key: value[indices] if isinstance(value, torch.Tensor) else [value[i] for i in indices]
        for key, value in batch.items()
    }


def mark(batch, unlabelled):
    """The batch with these samples unlabelled; their boxes and labels are still there."""
    metas = [dict(meta, labelled=i not in unlabelled) for i, meta in enumerate(batch['img_metas'])]
    return dict(batch, img_metas=metas)


def poison(batch):
    """The batch with boxes and labels of unlabelled samples that spoil whatever reads them."""
    boxes, labels = list(batch['gt_bboxes_3d']), list(batch['gt_labels_3d'])
    for i, meta in enumerate(batch['img_metas']):
        if not meta['labelled']:
            rows = torch.full((7, 9), float('nan'))
            rows[0], rows[1] = 1e6, torch.tensor([0.0, 0, -1, 20, 20, 3, 0, 0, 0])
            boxes[i], labels[i] = LiDARInstance3DBoxes(rows, box_dim=9), torch.tensor([-1, 3, 10**6, 0, 9, 5, -7])
    return dict(batch, gt_bboxes_3d=boxes, gt_labels_3d=labels)


def detection(losses):
    """The student's own losses of its head."""
    return {name: value for name, value in losses.items() if not name.startswith(('distill.', 'crd.', 'loss_depth'))}


def total(losses):
    """What is trained on."""
    return sum(value for name, value in losses.items() if 'loss' in name)
