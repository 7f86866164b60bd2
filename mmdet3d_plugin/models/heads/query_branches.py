"""Small networks that read class and box off a query."""

from torch import nn


def class_branch(channels: int, num_classes: int, hidden: int) -> nn.Sequential:
    """(..., channels) -> (..., num_classes) through ``hidden`` layers with LayerNorm and ReLU."""
    layers = []
    for _ in range(hidden):
        layers += [nn.Linear(channels, channels), nn.LayerNorm(channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(channels, num_classes))


def regression_branch(channels: int, code_size: int, hidden: int) -> nn.Sequential:
    """(..., channels) -> (..., code_size) through ``hidden`` layers with ReLU."""
    layers = []
    for _ in range(hidden):
        layers += [nn.Linear(channels, channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(channels, code_size))
