"""Small random voxel sets, and sparse convolution done densely."""

import torch
from torch.nn import functional as F

SHAPE = (7, 9, 10)

# layer arguments: (kernel size, stride, padding)
STRIDED = {
    'k3_s2_p1': (3, 2, 1),
    'k3_s2_p011': (3, 2, (0, 1, 1)),
    'k311_s211_p0': ((3, 1, 1), (2, 1, 1), 0),
    'k2_s2_p0': (2, 2, 0),
    'k3_s1_p1': (3, 1, 1),
    'k1_s2_p0': (1, 2, 0),
    'k135_s123_p012': ((1, 3, 5), (1, 2, 3), (0, 1, 2)),
}


def random_voxels(counts, shape=SHAPE, seed=0):
    """(V, 4) int32 (sample, z, y, x) in random order, ``counts[b]`` different voxels in sample b."""
    generator = torch.Generator().manual_seed(seed)
    cells = shape[0] * shape[1] * shape[2]
    rows = [torch.zeros(0, 4, dtype=torch.int32)]
    for sample, count in enumerate(counts):
        flat = torch.randperm(cells, generator=generator)[:count]
        z, y, x = flat // (shape[1] * shape[2]), flat // shape[2] % shape[1], flat % shape[2]
        rows.append(torch.stack([torch.full_like(z, sample), z, y, x], dim=1).int())
    coords = torch.cat(rows)
    return coords[torch.randperm(len(coords), generator=generator)]


def scatter_dense(features, coords, shape, batch_size):
    """(B, C, z, y, x) by a plain loop over the voxels, differentiable."""
    dense = features.new_zeros(batch_size, features.shape[1], *shape) + 0 * features.sum()  # a graph without voxels too
    for row, (sample, z, y, x) in enumerate(coords.tolist()):
        at = torch.zeros(batch_size, 1, *shape, dtype=features.dtype)
        at[sample, 0, z, y, x] = 1
        dense = dense + at * features[row].view(1, -1, 1, 1, 1)
    return dense


def dense_convolution(features, coords, shape, batch_size, layer, submanifold):
    """(B, C_out, z, y, x): convolve all cells, then keep those that a sparse convolution makes."""
    dense = scatter_dense(features, coords, shape, batch_size)
    active = scatter_dense(torch.ones(len(coords), 1, dtype=features.dtype), coords, shape, batch_size)
    window = layer.window
    options = dict(stride=window.stride, padding=window.padding, dilation=window.dilation)
    out = F.conv3d(dense, layer.weight.permute(4, 3, 0, 1, 2), **options)
    if not submanifold:
        ones = torch.ones(1, 1, *window.kernel, dtype=features.dtype)
        active = (F.conv3d(active, ones, **options) > 0.5).to(features.dtype)
    if layer.bias is not None:
        out = out + layer.bias.view(1, -1, 1, 1, 1)
    return out * active
