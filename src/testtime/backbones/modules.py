"""A pretrained module held once for each device and precision, and lent to any number of threads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from testtime.adapt.learner import converted, sharing_tensors

__all__ = ["HeldModule", "base_arrays", "use_arrays"]


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


def base_arrays(backbone: Any) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a pretrained model by name, without a copy; empty where it holds its module otherwise."""
    held = getattr(backbone, "_module", None)
    if not isinstance(held, HeldModule):
        return {}
    return {name: parameter.numpy() for name, parameter in held.base.named_parameters()}


def use_arrays(backbone: Any, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Let a model of the same weights use these arrays in the place of its own memory, without a copy.

    They may be read-only: no weight of a base is ever written.
    """
    if not arrays:
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        for name, parameter in backbone._module.base.named_parameters():
            parameter.data = torch.from_numpy(arrays[name])
