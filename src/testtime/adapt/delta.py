"""Small trainable changes of a model's weights: what is trained, its zero, and the weights it stands for.

A delta is a dictionary of tensors. Two forms exist for a weight :math:`W`:

* low rank, :math:`W + \\tfrac{\\alpha}{r} B A` with :math:`B = 0` at the start (LoRA; Hu et al., 2022), on matrices;
* offset, :math:`W + D` with :math:`D = 0` at the start, on any tensor.

At zero both give the weight itself, bit for bit. They reach every tensor of any module, such as the packed
``in_proj_weight`` of an attention layer, which wrappers of ``nn.Linear`` cannot. The weight is never written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from testtime.adapt.learner import Learner, Weights
from testtime.errors import InputError, nearest, sentence

__all__ = ["KINDS", "Delta", "DeltaSpec", "delta_bytes"]

KINDS = ("encoders", "lora", "norms", "tail", "head", "all")
"""What can be trained: feature encoders, low rank on every matrix, norms and biases, those of the last stages only,
output head, everything."""

_OFFSET, _DOWN, _UP = "offset", "lora_a", "lora_b"


@dataclass(frozen=True)
class DeltaSpec:
    """What is trained.

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
            expected = "one of " + ", ".join(map(repr, KINDS))
            raise InputError(
                sentence(f"adapt={self.kind!r}", expected=expected, remedy=nearest(self.kind, KINDS))
            )
        if self.rank < 1:
            raise InputError(sentence(f"rank={self.rank}", expected="an integer of at least 1"))

    def scale(self, rank: int) -> float:
        """Return the factor of ``B A`` at a rank that may have been capped by the matrix."""
        return 1.0 if self.alpha is None else self.alpha / rank


class Delta:
    """The changes of one learner's weights that a spec allows.

    Parameters
    ----------
    learner
        Whose weights are changed.
    spec
        What is trained.

    Raises
    ------
    InputError
        When the learner names no such part, or the part holds no floating tensor.
    """

    def __init__(self, learner: Learner, spec: DeltaSpec) -> None:
        self.spec = spec
        self.names = _targets(learner, spec)
        own = dict(learner.module.named_parameters())
        self._base = {name: own[name].detach() for name in self.names}

    def zero(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the tensors that change nothing, keyed ``<weight name>:<offset | lora_a | lora_b>``."""
        state: dict[str, Tensor] = {}
        for name, weight in self._base.items():
            if self.spec.kind != "lora":
                state[f"{name}:{_OFFSET}"] = torch.zeros_like(weight)
                continue
            rows, columns = weight.shape
            rank = min(self.spec.rank, rows, columns)
            bound = 1.0 / math.sqrt(columns)  # the scale of a freshly initialised linear layer
            down = torch.empty(rank, columns, dtype=weight.dtype).uniform_(-bound, bound, generator=generator)
            state[f"{name}:{_DOWN}"] = down.to(weight.device)
            state[f"{name}:{_UP}"] = weight.new_zeros(rows, rank)
        return state

    def weights(self, state: Mapping[str, Tensor]) -> Weights:
        """Return the changed weights that `state` stands for, in the base's device and dtype; differentiable.

        Raises
        ------
        InputError
            When the state names a weight that is not changed here, leaves one out, or a shape differs.
        """
        self._check(state)
        changed = {}
        for name, weight in self._base.items():
            if self.spec.kind == "lora":
                down, up = (state[f"{name}:{key}"].to(weight) for key in (_DOWN, _UP))
                changed[name] = torch.addmm(weight, self.spec.scale(len(down)) * up, down)
            else:
                changed[name] = weight + state[f"{name}:{_OFFSET}"].to(weight)
        return changed

    def _check(self, state: Mapping[str, Tensor]) -> None:
        keys = (_DOWN, _UP) if self.spec.kind == "lora" else (_OFFSET,)
        expected = {f"{name}:{key}" for name in self.names for key in keys}
        for key in sorted(expected.symmetric_difference(state)):
            had = "is missing" if key in expected else "changes nothing the model has"
            raise InputError(
                sentence(f"the adapter's tensor {key!r} {had}", remedy=nearest(key, sorted(expected)))
            )
        for name, weight in self._base.items():
            shape = state[f"{name}:{keys[0]}"].shape
            if self.spec.kind == "lora":
                up = state[f"{name}:{_UP}"].shape
                shape = (
                    (*up[:1], *shape[1:]) if len(shape) == len(up) == 2 and up[1] == shape[0] else (up, shape)
                )
            if tuple(shape) != tuple(weight.shape):
                raise InputError(
                    sentence(
                        f"the adapter's change of {name!r} has shape {tuple(shape)}",
                        expected=f"{tuple(weight.shape)}",
                    )
                )


def _targets(learner: Learner, spec: DeltaSpec) -> tuple[str, ...]:
    """Names of the weights that `spec` trains, in the module's own order.

    A tied tensor, registered under several names, goes by the first of them; it belongs to every part that holds one.
    """
    parts = learner.parts()
    aliases = _aliases(learner.module)
    allowed = set(parts.get("all", ())) or {name for names in aliases.values() for name in names}
    floating = {
        name: p
        for name, p in learner.module.named_parameters()
        if p.is_floating_point() and not allowed.isdisjoint(aliases[name])
    }
    if spec.kind == "all":
        chosen = tuple(floating)
    elif spec.kind == "norms":
        chosen = tuple(name for name, p in floating.items() if p.ndim == 1)
    elif spec.kind == "lora":
        # Matrices of linear maps; tables of learned vectors (inducing points, CLS tokens) are not.
        chosen = tuple(name for name, p in floating.items() if p.ndim == 2 and name.endswith("weight"))
    else:
        part = set(parts.get(spec.kind, ()))
        chosen = tuple(name for name in floating if not part.isdisjoint(aliases[name]))
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


def delta_bytes(state: Mapping[str, Tensor]) -> int:
    """Return the size of a delta's tensors in bytes."""
    return sum(value.numel() * value.element_size() for value in state.values())
