"""Toy experiment: the labelled BEVFormer goes on with the labelled scenes, without a teacher."""

_base_ = './bevformer_labelled_student.py'

load_from = 'outputs/quickstart_bevformer/bevformer_labelled_student/epoch_4.pth'
optimizer = dict(lr=5e-4)
runner = dict(max_epochs=2)  # 300 iterations, as all that start from the labelled student
