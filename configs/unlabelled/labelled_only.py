"""Toy experiment: the labelled student goes on with the labelled scenes, without a teacher."""

_base_ = './labelled_student.py'

load_from = 'outputs/quickstart/labelled_student/epoch_4.pth'
optimizer = dict(lr=1e-3)
runner = dict(max_epochs=2)  # 300 iterations, as all that start from the labelled student
