import pytest
from torch import nn

from mmdet3d_plugin.models.evaluating import evaluating


def modes(module):
    return [part.training for part in module.modules()]


@pytest.fixture
def half_frozen():
    """A network in training mode with one part in evaluation mode, as with ``norm_eval``."""
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    network[1].eval()
    return network


def test_every_part_comes_back_to_its_own_mode(half_frozen):
    other = nn.Dropout()
    with pytest.raises(KeyError), evaluating(half_frozen, other):
        assert modes(half_frozen) == [False] * 3 and modes(other) == [False]
        raise KeyError
    assert modes(half_frozen) == [True, True, False] and modes(other) == [True]


def test_it_leaves_alone_what_it_is_told_to(half_frozen):
    with evaluating(half_frozen, active=False):
        assert modes(half_frozen) == [True, True, False]
