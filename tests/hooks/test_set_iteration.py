from types import SimpleNamespace

from mmcv.parallel import MMDataParallel
from torch import nn

from mmdet3d_plugin.hooks import SetIterationHook


class Counts(nn.Module):
    def set_iteration(self, iteration):
        self.iteration = iteration


def test_the_model_inside_any_wrapper_is_told_the_runners_iteration():
    model = Counts()
    SetIterationHook().before_train_iter(SimpleNamespace(model=model, iter=7))
    assert model.iteration == 7
    SetIterationHook().before_train_iter(SimpleNamespace(model=MMDataParallel(model, device_ids=[]), iter=8))
    assert model.iteration == 8


def test_models_that_do_not_ask_are_left_alone():
    SetIterationHook().before_train_iter(SimpleNamespace(model=nn.Linear(1, 1), iter=7))
