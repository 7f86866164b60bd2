"""Build-time check that a neck gives the maps that a BEV encoder takes."""

from torch import nn


def check_neck_fits(name: str, neck: nn.Module, num_levels: int, channels: int) -> None:
    """Raise ValueError when a neck says that it gives other maps.

    Args:
        name: of the neck in the config, for the message.
        neck: says so by ``num_outs`` and ``out_channels``, as mmdet's FPN does; any other is believed to fit.
        num_levels, channels: what the encoder takes.
    """
    given = tuple(getattr(neck, key, None) for key in ('num_outs', 'out_channels'))
    if None not in given and given != (num_levels, channels):
        raise ValueError(
            f'{name} gives {given[0]} map(s) of {given[1]} channels but bev_encoder takes {num_levels} of {channels}: '
            f'make num_outs and out_channels its num_levels and embed_dims'
        )
