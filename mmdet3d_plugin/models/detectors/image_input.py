"""Images as the networks want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def normalised(images: Tensor, img_metas: Sequence[Mapping[str, Any]]) -> Tensor:
    """Images of a batch in float32; those that come as uint8 are normalised on their device.

    Args:
        images: (B, ..., 3, H, W). Floating point is what a pipeline normalised, and stays as it is.
        img_metas: of the B samples. ``img_norm_cfg`` holds ``mean`` and ``std`` of 0..255 in the order of the channels,
            as ``AugmentMultiViewImages(as_uint8=True)`` writes it.

    Raises:
        KeyError: images of uint8 whose metas do not tell how to normalise them.
    """
    if images.dtype != torch.uint8:
        return images
    if any('img_norm_cfg' not in meta for meta in img_metas):
        raise KeyError("images are uint8 but img_metas lack 'img_norm_cfg': add it to FormatBEVInputs.meta_keys")
    shape = (len(img_metas), *[1] * (images.dim() - 4), 3, 1, 1)
    mean, std = (
        torch.tensor([meta['img_norm_cfg'][key] for meta in img_metas], device=images.device).view(shape)
        for key in ('mean', 'std')
    )
    return images.sub(mean).div_(std)
