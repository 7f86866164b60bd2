"""Toy experiment: depth for the students' image branch, what they start from in place of weights made elsewhere."""

_base_ = '../quickstart/bevdepth4d_toy.py'

work_dir = 'outputs/ablation/depth'
model = dict(
    _delete_=True,
    type='CameraDepth',
    img_backbone={{_base_.model.img_backbone}},
    img_neck={{_base_.model.img_neck}},
    img_view_transformer={{_base_.model.img_view_transformer}},
)
runner = dict(max_epochs=3)
