"""What the engine asks of a model: read a context, predict from what was read, and a loss; weights are an argument."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = [
    "FROZEN",
    "Learner",
    "Rows",
    "Weights",
    "call_with",
    "converted",
    "predict_rows",
    "sharing_tensors",
]

Weights = Mapping[str, Tensor]
"""Changed tensors by the name of the parameter they stand for; every other parameter is the base model's."""

FROZEN: Weights = MappingProxyType({})
"""No change: the model as it was pretrained."""

_Answer = TypeVar("_Answer")
_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True)
class Rows:
    """Labelled rows of one table, encoded for a model.

    Attributes
    ----------
    x
        Features, ``(N, D)``, floating.
    y
        Targets, ``(N,)``: class codes (int64) or values (floating).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def take(self, indices: Any) -> Rows:
        """Return the rows at `indices` (an integer array or tensor), in that order."""
        at = torch.as_tensor(indices, device=self.x.device)
        return Rows(self.x[at], self.y[at])


@runtime_checkable
class Learner(Protocol):
    """An in-context learner on one task, without state: what it answers depends on the arguments alone.

    ``module`` is any ``nn.Module``. It is never written and never copied; a call puts `weights` in the place of its
    parameters for the length of the call, so two threads need two learners (they may share all tensors, see
    :func:`sharing_tensors`).
    """

    module: nn.Module

    def read(self, weights: Weights, context: Rows) -> Any:
        """Read labelled rows once; what is returned belongs to these weights and these rows."""
        ...

    def predict(self, weights: Weights, read: Any, x: Tensor) -> Tensor:
        """Predict rows ``(q, D)`` -> ``(q, K)`` from what was read; differentiable in both."""
        ...

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Return what training lowers, one number per row, ``(q, K), (q,) -> (q,)``."""
        ...

    def answer(self, output: Tensor) -> Tensor:
        """Turn outputs into probabilities or quantiles, ``(q, K) -> (q, A)``."""
        ...

    def parts(self) -> Mapping[str, Sequence[str]]:
        """Return the parameter names of each named part.

        "encoders" and "head" should be among them. "all" lists what may be trained where that is not every floating
        parameter.
        """
        ...


class _Bound(nn.Module):
    """Gives a module a ``forward`` that is any function of it, which is what ``functional_call`` can call."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(self.module, *arguments)


def call_with(
    module: nn.Module, weights: Weights, function: Callable[..., _Answer], *arguments: Any
) -> _Answer:
    """Return ``function(module, *arguments)`` with `weights` in the place of the module's own parameters.

    The module is as it was afterwards, also after an exception. A tied parameter changes in every place; whether a
    module ties any is found out at its first call.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> double = {"weight": torch.full((1, 1), 2.0)}
    >>> call_with(layer, double, lambda module, x: module(x), torch.ones(1)).item()
    2.0
    """
    if not weights:
        return function(module, *arguments)
    named = {f"module.{name}": tensor for name, tensor in weights.items()}
    return functional_call(_Bound(module), named, (function, *arguments), tie_weights=_has_ties(module))


_TIES: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def _has_ties(module: nn.Module) -> bool:
    """Tell whether a tensor has several names; to look takes as long as a few layers, so a module is asked once."""
    if module not in _TIES:
        named = (
            module.named_parameters(remove_duplicate=False),
            module.named_buffers(remove_duplicate=False),
        )
        tensors = [id(tensor) for _, tensor in chain(*named)]
        _TIES[module] = len(set(tensors)) < len(tensors)
    return _TIES[module]


def sharing_tensors(module: _Module) -> _Module:
    """Return a module of the same structure over the *same* tensors, for another thread; costs no memory to speak of.

    >>> layer = nn.Linear(2, 2)
    >>> twin = sharing_tensors(layer)
    >>> twin is layer, twin.weight is layer.weight
    (False, True)
    """
    tensors = chain(module.parameters(), module.buffers())
    return _twin(module, {id(tensor): tensor for tensor in tensors})


_ATOMS = (type(None), bool, int, float, str)
_COPIED_BY = ("__deepcopy__", "__reduce_ex__", "__reduce__", "__getstate__")


def _twin(module: nn.Module, memo: dict[int, Any]) -> Any:
    """Return ``copy.deepcopy(module, memo)``, in a fraction of its time.

    A transformer has a hundred parts, each with a dozen empty dictionaries of hooks, and every learner takes a copy:
    what can only be shared, or is empty, is not looked into. Modules that say how they are copied are asked.
    """
    if id(module) in memo:
        return memo[id(module)]
    kind = type(module)
    if any(getattr(kind, name, None) is not getattr(nn.Module, name, None) for name in _COPIED_BY):
        return copy.deepcopy(module, memo)
    twin = memo[id(module)] = kind.__new__(kind)
    state: dict[str, Any] = {}
    for name, value in vars(module).items():
        if name == "_modules":
            parts = ((key, part if part is None else _twin(part, memo)) for key, part in value.items())
            state[name] = type(value)(parts)
        elif type(value) in _ATOMS:
            state[name] = value
        elif isinstance(value, (dict, set)) and not value:
            state[name] = value.copy()
        else:
            state[name] = copy.deepcopy(value, memo)
    twin.__setstate__(state)
    return twin


def converted(module: _Module, device: torch.device, dtype: torch.dtype) -> _Module:
    """Return a module of the same structure whose floating tensors are of `dtype` on `device`; frozen, ties kept."""

    def convert(tensor: Tensor) -> Tensor:
        moved = tensor.detach().to(device, dtype if tensor.is_floating_point() else tensor.dtype)
        return nn.Parameter(moved, requires_grad=False) if isinstance(tensor, nn.Parameter) else moved

    tensors = chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): convert(tensor) for tensor in tensors})


_CELLS_PER_CALL = 20_000  # rows x columns of one forward pass: bounds its activations to some ten MB


def predict_rows(learner: Learner, weights: Weights, read: Any, x: Tensor) -> Tensor:
    """Predict any number of rows without gradients, in pieces of bounded memory, ``(q, D) -> (q, K)``."""
    rows = max(64, _CELLS_PER_CALL // (x.shape[1] + 4))
    with torch.no_grad():
        pieces = [learner.predict(weights, read, piece) for piece in x.split(rows)]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
