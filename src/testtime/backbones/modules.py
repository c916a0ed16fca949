"""A pretrained module held once for each device and precision, and lent to any number of threads."""

from __future__ import annotations

import torch
from torch import nn

from testtime.adapt.learner import converted, sharing_tensors

__all__ = ["HeldModule"]


class HeldModule:
    """A module that is never written.

    Parameters
    ----------
    module
        On the CPU in float32. It is frozen: PyTorch chooses kernels by ``requires_grad`` even where no gradient is
        taken, and the frozen model must give the same bits with and without a delta at zero.

    Attributes
    ----------
    held
        The module by device and dtype.
    trainable
        Names of the weights that it came with as trainable.
    """

    def __init__(self, module: nn.Module) -> None:
        self.trainable = tuple(name for name, p in module.named_parameters() if p.requires_grad)
        self.held = {(torch.device("cpu"), torch.float32): module.requires_grad_(False)}

    @property
    def base(self) -> nn.Module:
        """The module itself."""
        return self.held[torch.device("cpu"), torch.float32]

    def lend(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """Return a module for one thread; all of one device and dtype share their tensors."""
        if (device, dtype) not in self.held:
            self.held[device, dtype] = converted(self.base, device, dtype)
        return sharing_tensors(self.held[device, dtype])
