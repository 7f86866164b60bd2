"""State of the random generators of a process, as plain values and tensors that a checkpoint can hold."""

import random

import numpy as np
import torch
from mmcv.runner import get_dist_info


def random_state() -> dict[str, object]:
    """State of python's, numpy's, torch's and, where it is in use, this process's CUDA generator."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    state = dict(
        python=[version, torch.tensor(numbers), gauss],
        numpy=[name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(cached)],
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, object]) -> None:
    """Bring this process's generators back to a state that :func:`random_state` returned."""
    version, numbers, gauss = state['python']
    random.setstate((version, tuple(numbers.tolist()), gauss))
    name, keys, *rest = state['numpy']
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'])
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])


def gather_random_states() -> list[dict[str, object]]:
    """States of all processes, by rank. Every process must call this at the same time."""
    world_size = get_dist_info()[1]
    if world_size == 1:
        return [random_state()]
    states = [None] * world_size
    torch.distributed.all_gather_object(states, random_state())
    return states
