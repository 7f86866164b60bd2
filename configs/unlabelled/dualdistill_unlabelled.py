"""Toy experiment: the labelled student goes on with boxes of 20 % of the scenes and a teacher that sees all of them."""

_base_ = '../quickstart/dualdistill_toy.py'

model = dict(unlabelled=dict(score_threshold=0.3, weight='score'))
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
