"""Toy experiment: the labelled student goes on with the labelled scenes and a teacher."""

_base_ = '../quickstart/dualdistill_toy.py'

data = dict(train=dict(labelled=dict(share=0.2, seed=0, use='labelled', times=5)))
load_from = 'outputs/quickstart/labelled_student/epoch_4.pth'
optimizer = dict(lr=1e-3)
runner = dict(max_epochs=2)  # 300 iterations
