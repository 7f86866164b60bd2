"""Toy experiment: the labelled student goes on without a teacher, with boxes of 20 % of the scenes and depth of all."""

_base_ = '../quickstart/bevdepth4d_toy.py'

data = dict(
    train=dict(
        _delete_=True,
        type='LabelledAndUnlabelled',
        labelled={{_base_.data.train}},
        scenes=dict(share=0.2, seed=0, times=5),
        ratio=(1, 1),
    )
)
load_from = 'outputs/quickstart/labelled_student/epoch_4.pth'
optimizer = dict(lr=1e-3)
runner = dict(max_epochs=1)  # 300 iterations
