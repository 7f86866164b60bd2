"""A house detector with a DETR head learns: two samples, known by heart in seconds."""

import torch
from helpers.batch import make_batch
from helpers.query_heads import query_head_cfg
from helpers.toy_models import toy_centerpoint_cfg
from mmdet3d.models import build_detector


def build(num_query=16):
    torch.manual_seed(0)
    head = query_head_cfg(48, num_query=num_query)
    head['transformer'].update(num_heads=3, dropout=0.0)
    train_cfg = head.pop('train_cfg')
    model = build_detector(
        dict(toy_centerpoint_cfg(), pts_bbox_head=head, train_cfg=dict(pts=train_cfg), test_cfg=None)
    )
    model.init_weights()
    return model.train()


def test_two_samples_are_learned_by_heart():
    model = build()
    batch = make_batch(num_frames=1, num_cams=1, image_size=(32, 32), num_boxes=4, augment=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    totals = []
    for _ in range(80):
        losses = model.forward_train(**batch)
        totals.append(sum(losses.values()).detach())
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 35.0)
        optimizer.step()
    assert totals[-1] < totals[0] / 8
    with torch.no_grad():  # batch statistics as in training: running ones lag behind after so few iterations
        predictions = model.head.predict(model.extract_bev(batch).head_map, batch['img_metas'])
        found = model.head.decode(predictions, batch['img_metas'], score_threshold=0.3)
    for detections, boxes, labels in zip(found, batch['gt_bboxes_3d'], batch['gt_labels_3d']):
        away = torch.cdist(boxes.gravity_center[:, :2], detections.boxes.gravity_center[:, :2])
        right = labels[:, None] == detections.labels
        assert ((away < 2.0) & right).any(dim=1).sum() >= 3, (away, labels, detections.labels)
        assert len(detections.labels) <= 6
