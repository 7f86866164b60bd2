"""Toy experiment: the labelled BEVFormer goes on with boxes of 20 % of the scenes and LidarFormer's maps of all."""

_base_ = '../quickstart/lidarformer_to_bevformer_toy.py'

# The student brings its own head.
model = dict(inherit_head=False, unlabelled=dict(score_threshold=0.3, weight='score'))
data = dict(
    train=dict(
        _delete_=True,
        type='LabelledAndUnlabelled',
        labelled={{_base_.data.train}},
        scenes=dict(share=0.2, seed=0, times=5),
        ratio=(1, 1),
    )
)
load_from = 'outputs/quickstart_bevformer/bevformer_labelled_student/epoch_4.pth'
optimizer = dict(lr=5e-4)
runner = dict(max_epochs=1)  # 300 iterations
