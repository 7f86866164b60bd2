"""Plans of the cameras seen last, for inference with a fixed rig."""

import torch


class PlanCache:
    """Keeps the newest ``size`` plans and hands one out again when the numbers it was made from come back.

    Args:
        size: plans kept; one for each frame of a forward pass is enough.
    """

    def __init__(self, size):
        self.size = size
        self._entries = []  # (numbers, plan), newest last

    def get(self, geometry, build):
        """Plan of ``geometry`` (a sequence of tensors), made by ``build()`` unless its numbers are known.

        Numbers are compared exactly; on CUDA that waits for the device.
        """
        numbers = torch.cat([tensor.detach().reshape(-1).double() for tensor in geometry])
        for known, plan in self._entries:
            if known.shape == numbers.shape and known.device == numbers.device and torch.equal(known, numbers):
                return plan
        plan = build()
        self._entries = [*self._entries, (numbers, plan)][-self.size :]
        return plan
