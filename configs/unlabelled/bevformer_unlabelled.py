"""Toy experiment: LidarFormer -> BEVFormer, boxes of 20 % of the scenes, and a teacher that sees all of them."""

_base_ = '../quickstart/lidarformer_to_bevformer_toy.py'

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
runner = dict(max_epochs=2)  # 600 iterations, as all here
