"""What is logged while a model gets its initial weights; the weights themselves do not depend on it."""

import logging

import pytest
import torch
from mmcv.runner import BaseModule
from mmcv.utils import get_logger

from mmdet3d_plugin.models.initial_weights import initialise


class Part(BaseModule):
    def __init__(self):
        super().__init__(init_cfg=dict(type='Constant', layer='Linear', val=0.5, bias=0.25))
        self.linear = torch.nn.Linear(2, 3)


class Whole(BaseModule):
    def __init__(self):
        super().__init__()
        self.part, self.left = Part(), torch.nn.Parameter(torch.ones(4))


@pytest.fixture(params=['mmcv', 'mmdet3d'])
def first_logger(request, monkeypatch, tmp_path):
    """The logger that mmcv speaks through, with a log file of its own."""
    monkeypatch.setattr('mmcv.utils.logging.logger_initialized', loggers := {})
    monkeypatch.setattr('mmcv.runner.base_module.logger_initialized', loggers)
    monkeypatch.setattr('mmdet3d_plugin.models.initial_weights.logger_initialized', loggers)
    handlers = {name: list(logging.getLogger(name).handlers) for name in ('mmcv', 'mmdet3d')}
    get_logger(request.param, str(tmp_path / 'run.log'))
    yield tmp_path / 'run.log'
    for name, before in handlers.items():
        logging.getLogger(name).handlers[:] = before


@pytest.mark.parametrize('verbose', [False, True])
def test_parameters_are_told_only_when_asked_for(first_logger, caplog, verbose):
    model = Whole()
    caplog.set_level(logging.INFO)
    initialise(model, verbose=verbose)
    assert model.part.linear.weight.eq(0.5).all() and model.part.linear.bias.eq(0.25).all()
    assert not hasattr(model, '_params_init_info') and not hasattr(model.part.linear, '_params_init_info')
    told = caplog.text + first_logger.read_text()
    if not verbose:
        assert told == ''
        return
    lines = [line.strip() for line in caplog.text.splitlines()]
    assert [line for line in lines if line.startswith('part.linear')] == [
        'part.linear.weight (3, 2): ConstantInit: val=0.5, bias=0.25',
        'part.linear.bias (3,): ConstantInit: val=0.5, bias=0.25',
    ]
    (left,) = [line for line in lines if line.startswith('left (4,): ')]
    assert 'The value is the same before and after' in left and left.endswith(' of Whole')
    assert 'initialize Part with init_cfg' in caplog.text


def test_only_announcements_are_held_back(first_logger, caplog):
    class Loud(Whole):
        def init_weights(self):
            for name in ('mmcv', 'mmdet3d'):
                logging.getLogger(name).info('3 of 4 weights taken over')
                logging.getLogger(name).warning('initialize with care')
            super().init_weights()

    caplog.set_level(logging.INFO)
    initialise(Loud())
    assert [record.message for record in caplog.records] == ['3 of 4 weights taken over', 'initialize with care'] * 2
