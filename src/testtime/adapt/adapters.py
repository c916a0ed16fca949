"""Small trainable changes to a module's weights: attach, read, write, merge, remove.

An adapter sits on weight *tensors* through ``torch.nn.utils.parametrize``, so it reaches packed projections (the
``in_proj_weight`` of an attention layer) that wrappers of ``nn.Linear`` cannot, and works in training, evaluation and
with key-value caches. Two forms exist:

* low rank, :math:`W + \\tfrac{\\alpha}{r} B A` with :math:`B = 0` at the start (LoRA; Hu et al., 2022), on matrices;
* offset, :math:`W + D` with :math:`D = 0` at the start, on any tensor.

At zero both return the weight unchanged, bit for bit. The weight itself is never written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from testtime.adapt.learner import Learner
from testtime.errors import InputError, nearest, sentence

__all__ = ["KINDS", "Adapter", "AdapterSpec", "attached", "choose_targets", "merge", "state_bytes"]

KINDS = ("encoders", "lora", "norms", "head", "all")
"""What can be trained: feature encoders, low rank on every matrix, norms and biases, output head, everything."""

_LOW, _OFFSET = "lora", "offset"


class LowRank(nn.Module):
    """Add a matrix of rank at most ``r`` to a weight."""

    def __init__(self, weight: Tensor, spec: AdapterSpec, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        rank = min(spec.rank, rows, columns)
        bound = 1.0 / math.sqrt(columns)  # the scale of a freshly initialised linear layer
        down = torch.empty(rank, columns, dtype=weight.dtype).uniform_(-bound, bound, generator=generator)
        self.lora_a = nn.Parameter(down.to(weight.device))
        self.lora_b = nn.Parameter(weight.new_zeros(rows, rank))
        self.scale = spec.scale(rank)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight."""
        return weight + self.scale * (self.lora_b @ self.lora_a)


class Offset(nn.Module):
    """Add a full tensor to a weight."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros_like(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight."""
        return weight + self.offset


@dataclass(frozen=True)
class AdapterSpec:
    """What an adapter trains.

    Attributes
    ----------
    kind
        One of :data:`KINDS`.
    rank
        Rank of the low-rank form; ignored by the others.
    alpha
        Scale of the low-rank form: the update is ``alpha / rank * B A``. None means a scale of 1 at any rank.
    """

    kind: str = "encoders"
    rank: int = 8
    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                sentence(
                    f"adapt={self.kind!r}",
                    expected="one of " + ", ".join(map(repr, KINDS)),
                    remedy=nearest(self.kind, KINDS),
                )
            )
        if self.rank < 1:
            raise InputError(sentence(f"rank={self.rank}", expected="an integer of at least 1"))

    def scale(self, rank: int) -> float:
        """Return the factor of ``B A`` at a rank that may have been capped by the matrix."""
        return 1.0 if self.alpha is None else self.alpha / rank


class Adapter:
    """Parametrizations attached to one module; made by :func:`attached`."""

    def __init__(self, parts: dict[str, LowRank | Offset]) -> None:
        self._parts = parts

    def parameters(self) -> list[nn.Parameter]:
        """Return the trainable tensors, in a fixed order."""
        return [parameter for part in self._parts.values() for parameter in part.parameters()]

    @property
    def n_trainable(self) -> int:
        """Number of trainable values."""
        return sum(parameter.numel() for parameter in self.parameters())

    def state(self) -> dict[str, Tensor]:
        """Return copies of the trainable tensors, keyed ``<weight name>:<offset | lora_a | lora_b>``."""
        return {
            f"{name}:{key}": value.detach().clone()
            for name, part in self._parts.items()
            for key, value in part.named_parameters()
        }

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor], scale: float = 1.0) -> None:
        """Write `state` into the adapter, moved a fraction `scale` of the way from zero.

        `scale` acts on what is zero at the start (offsets and the ``B`` factors), so 0 is the frozen model exactly.
        """
        for name, part in self._parts.items():
            for key, value in part.named_parameters():
                new = state[f"{name}:{key}"].to(value)
                value.copy_(new if key == "lora_a" else scale * new)


def choose_targets(learner: Learner, spec: AdapterSpec) -> dict[str, str]:
    """Return ``{parameter name: form}`` for what `spec` trains, in the module's own order.

    A tied tensor, registered under several names, goes by the first of them; it belongs to every part that holds one.

    Raises
    ------
    InputError
        When the learner names no such part, or the part holds no trainable tensor.
    """
    parts = learner.parts()
    trainable = set(parts.get("all", ()))
    aliases = _aliases(learner.module)
    floating = {
        name: p
        for name, p in learner.module.named_parameters()
        if p.is_floating_point() and (p.requires_grad or not trainable.isdisjoint(aliases[name]))
    }
    if spec.kind == "all":
        chosen = dict.fromkeys(floating, _OFFSET)
    elif spec.kind == "norms":
        chosen = {name: _OFFSET for name, p in floating.items() if p.ndim == 1}
    elif spec.kind == "lora":
        # Matrices of linear maps; tables of learned vectors (inducing points, CLS tokens) are not.
        chosen = {name: _LOW for name, p in floating.items() if p.ndim == 2 and name.endswith("weight")}
    else:
        part = set(parts.get(spec.kind, ()))
        chosen = {name: _OFFSET for name in floating if not part.isdisjoint(aliases[name])}
    if not chosen:
        raise InputError(
            sentence(
                f"adapt={spec.kind!r} matches no weight of {type(learner.module).__name__}",
                expected="a part the model has",
                remedy="Use adapt='all' or adapt='lora'",
            )
        )
    return chosen


def _aliases(module: nn.Module) -> dict[str, list[str]]:
    """Return all names of each parameter, keyed by the one ``named_parameters`` gives it."""
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {found[0]: found for found in names.values()}


def _owner(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, leaf = name.rpartition(".")
    return module.get_submodule(path), leaf


@contextmanager
def attached(learner: Learner, spec: AdapterSpec, generator: torch.Generator) -> Iterator[Adapter]:
    """Attach an adapter for the length of a ``with`` block; everything else is frozen meanwhile.

    A tied tensor is changed in every place it is used. On leaving, also through an exception or an interrupt, the
    module is as it was: same tensors, same ``requires_grad`` flags, no parametrization.
    """
    targets = choose_targets(learner, spec)
    module = learner.module
    flags = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    originals = dict(module.named_parameters())
    placed: list[tuple[nn.Module, str]] = []
    aliases = _aliases(module)
    # The same module under two names is one place; a set of places would not keep their order.
    places = {name: list(dict.fromkeys(_owner(module, alias) for alias in aliases[name])) for name in targets}
    owners = dict.fromkeys(owner for found in places.values() for owner, _ in found)
    orders = {owner: tuple(owner._parameters) for owner in owners}
    try:
        for parameter in originals.values():
            parameter.requires_grad_(False)
        parts: dict[str, LowRank | Offset] = {}
        for name, form in targets.items():
            weight = originals[name]
            part = LowRank(weight, spec, generator) if form == _LOW else Offset(weight)
            for owner, leaf in places[name]:
                parametrize.register_parametrization(owner, leaf, part, unsafe=True)
                placed.append((owner, leaf))
            parts[name] = part
        yield Adapter(parts)
    finally:
        for owner, leaf in reversed(placed):
            parametrize.remove_parametrizations(owner, leaf, leave_parametrized=False)
        for (
            owner,
            order,
        ) in orders.items():  # removal puts a tensor last; the order decides random draws and sums
            registered = owner._parameters
            for leaf in order:
                registered[leaf] = registered.pop(leaf)
        for name, parameter in originals.items():
            parameter.requires_grad_(flags[name])


@torch.no_grad()
def merge(module: nn.Module, state: Mapping[str, Tensor], spec: AdapterSpec) -> None:
    """Add a saved adapter state to the weights of `module`, which must be a private copy of the base.

    Raises
    ------
    InputError
        When the state names a weight the module does not have, or its shape differs.
    """
    weights = dict(module.named_parameters())
    for key, value in state.items():
        name, _, form = key.rpartition(":")
        if name not in weights:
            raise InputError(
                sentence(
                    f"the adapter changes {name!r}, which the model does not have",
                    remedy=nearest(name, weights),
                )
            )
        weight = weights[name]
        if form == _OFFSET:
            change = value.to(weight)
        elif form == "lora_b":
            down = state[f"{name}:lora_a"].to(weight)
            change = spec.scale(down.shape[0]) * (value.to(weight) @ down)
        else:
            continue
        if change.shape != weight.shape:
            raise InputError(
                sentence(
                    f"the adapter's change of {name!r} has shape {tuple(change.shape)}",
                    expected=f"{tuple(weight.shape)}",
                )
            )
        weight.add_(change)


def state_bytes(state: Mapping[str, Tensor]) -> int:
    """Return the size of an adapter's tensors in bytes."""
    return sum(value.numel() * value.element_size() for value in state.values())
