"""Predictions of a CenterPoint head whose regression is computed where it is asked for."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet3d.models.dense_heads.centerpoint_head import SeparateHead
from torch import Tensor, nn

# One list with one mapping a task: branch name -> (B, c, H, W), as mmdet3d's CenterHead answers.
TaskPredictions = Sequence[Sequence[Mapping[str, Tensor]]]


class LazyPredictions(Mapping[str, Tensor]):
    """One task's predictions: the heatmap as a map, the other branches when somebody wants them.

    A loss on a few objects reads a handful of cells of the regression maps, which are five of a task's six branches.
    :meth:`at` runs these branches on the surroundings of such cells only: same values and gradients as reading the
    whole map, except for rounding. As a mapping it is the task's dict of maps, each computed when it is first read; it
    cannot be built from a dict, which mmcv's ``force_fp32`` and ``auto_fp16`` try. Always in the feature's precision.

    Args:
        task_head: mmdet3d task head with frozen statistics (``eval()``), see :func:`can_be_lazy`.
        feature: (B, C, H, W) what its branches read.
        heatmap: (B, classes of the task, H, W) of that feature.
    """

    def __init__(self, task_head: SeparateHead, feature: Tensor, heatmap: Tensor) -> None:
        self._task_head = task_head
        self._feature = feature
        self._maps = dict(heatmap=heatmap)

    def __iter__(self) -> Iterator[str]:
        return iter(self._task_head.heads)

    def __len__(self) -> int:
        return len(self._task_head.heads)

    def __contains__(self, name: object) -> bool:  # Mapping's own would compute the map
        return name in self._task_head.heads

    def __getitem__(self, name: str) -> Tensor:
        if name not in self:
            raise KeyError(name)
        if name in self._maps:
            return self._maps[name]
        with self._own_precision():
            values = getattr(self._task_head, name)(self._feature)
        if torch.is_grad_enabled():  # a map read without gradients is of no use to who reads it for a loss
            self._maps[name] = values
        return values

    def _own_precision(self):
        return torch.autocast(self._feature.device.type, enabled=False)

    def at(self, names: Sequence[str], indices: Tensor, mask: Tensor) -> Tensor:
        """Values of branches at cells.

        Args:
            names: branches, c channels together.
            indices: (B, K) int64, row * W + col.
            mask: (B, K) bool, the slots that hold a cell.

        Returns:
            (B, K, c), zero where ``mask`` is False.
        """
        branches = [getattr(self._task_head, name) for name in names]
        reach = [sum(_convolution(layer).kernel_size[0] // 2 for layer in branch) for branch in branches]
        radius = max(reach)
        sample, slot = mask.nonzero(as_tuple=True)  # a GPU has been waited for already, to decode the boxes
        values = []
        with self._own_precision():
            patches, inside = _patches(self._feature, sample, indices[sample, slot], radius)
            for branch, seen in zip(branches, reach):
                cut = slice(radius - seen, radius + seen + 1)
                values.append(_run_on_patches(branch, patches[..., cut, cut], inside[..., cut, cut]))
        joined = torch.cat(values, dim=1)
        return joined.new_zeros(*mask.shape, joined.shape[1]).index_put((sample, slot), joined)


def read_cells(preds: Mapping[str, Tensor], names: Sequence[str], indices: Tensor, mask: Tensor) -> Tensor:
    """Values of branches at cells, (B, K, c); see :meth:`LazyPredictions.at`.

    Args:
        preds: LazyPredictions, or a dict of maps (B, c_i, H, W); of the latter any slot is read, masked or not.
    """
    if isinstance(preds, LazyPredictions):
        return preds.at(names, indices, mask).float()
    maps = torch.cat([preds[name].float() for name in names], dim=1)
    cells = indices[..., None].expand(-1, -1, maps.shape[1])
    return maps.flatten(2).transpose(1, 2).gather(1, cells)


def can_be_lazy(task_heads: Sequence[SeparateHead]) -> bool:
    """Whether every branch is a chain of ordinary convolutions that :class:`LazyPredictions` can follow.

    Wanted: stride 1, odd kernels, zeros as padding that keep the size, no hooks, and no layer that looks beyond its
    cell but the convolutions, so batch normalisation with its stored statistics only.
    """
    return all(
        type(head) is SeparateHead and all(_is_local(layer) for name in head.heads for layer in getattr(head, name))
        for head in task_heads
    )


def _is_local(layer):
    conv = _convolution(layer)
    if type(conv) is not nn.Conv2d or conv.stride != (1, 1) or conv.dilation != (1, 1) or conv.padding_mode != 'zeros':
        return False
    if any(part._forward_hooks or part._forward_pre_hooks for part in layer.modules()):  # spectral norm is one
        return False
    height, width = conv.kernel_size
    if height != width or height % 2 == 0 or conv.padding != (height // 2, height // 2):
        return False
    if layer is conv:
        return True
    stored = not layer.with_norm or (isinstance(layer.norm, nn.BatchNorm2d) and _uses_stored_statistics(layer.norm))
    return stored and layer.order == ('conv', 'norm', 'act') and not layer.with_explicit_padding


def _uses_stored_statistics(norm):
    return not norm.training and norm.running_mean is not None


def _convolution(layer):
    return layer.conv if isinstance(layer, ConvModule) else layer


def _patches(feature, sample, cells, radius):
    """Surroundings of cells, zero outside the map.

    Args:
        feature: (B, C, H, W).
        sample, cells: (N,) int64; a cell is row * W + col.
        radius: cells on either side.

    Returns:
        tuple: (N, C, 2 radius + 1, 2 radius + 1), and (N, 1, same size) bool, what lies inside the map.
    """
    height, width = feature.shape[-2:]
    offset = torch.arange(-radius, radius + 1, device=cells.device)
    row = (torch.div(cells, width, rounding_mode='floor')[:, None] + offset)[:, :, None]
    col = ((cells % width)[:, None] + offset)[:, None, :]
    inside = ((row >= 0) & (row < height) & (col >= 0) & (col < width))[:, None]
    place = (sample[:, None, None] * height + row.clamp(0, height - 1)) * width + col.clamp(0, width - 1)
    # an embedding, because patches overlap: advanced indexing adds their gradients in an order that threads decide
    near = nn.functional.embedding(place, feature.permute(0, 2, 3, 1).flatten(0, 2))
    return near.permute(0, 3, 1, 2) * inside, inside


def _run_on_patches(branch, patches, inside):
    """(N, C, 2 r + 1, 2 r + 1) -> (N, c): the branch at the centres of patches as large as what it sees."""
    margin = 0
    for layer in branch:
        conv = _convolution(layer)
        margin += conv.kernel_size[0] // 2
        patches = nn.functional.conv2d(patches, conv.weight, conv.bias, groups=conv.groups)
        if layer is not conv:
            patches = layer.norm(patches) if layer.with_norm else patches
            patches = layer.activate(patches) if layer.with_activation else patches
        # the next convolution pads with zeros, whatever this one says of places outside the map
        size = inside.shape[-1]
        patches = patches * inside[..., margin : size - margin, margin : size - margin]
    return patches.flatten(1)
