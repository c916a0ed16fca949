"""Small models with known behaviour, and models that misbehave on request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from tabicl._model.tabicl import TabICL
from torch import Tensor, nn

from testtime.adapt.learner import Rows
from testtime.backbones.embedded import EmbeddedBackbone, TabICLClassifierLearner


def tiny_tabicl(seed: int = 0, **changes: int) -> TabICL:
    """A TabICL with random weights everywhere, also where tabicl's own initialisation is zero or one."""
    config = {
        "max_classes": 10,
        "embed_dim": 8,
        "col_num_blocks": 1,
        "col_nhead": 2,
        "col_num_inds": 4,
        "row_num_blocks": 1,
        "row_nhead": 2,
        "row_num_cls": 2,
        "row_rope_interleaved": False,
        "icl_num_blocks": 1,
        "icl_nhead": 2,
        "zero_init": False,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = TabICL(**{**config, **changes})
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return module.train()


def sha256_of(module: nn.Module) -> str:
    """Digest of all names, shapes and bytes of a module, whatever order it keeps them in."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def tiny_backbone(seed: int = 0) -> EmbeddedBackbone:
    module = tiny_tabicl(seed)
    return EmbeddedBackbone(module, sha256_of(module), 10)


def tiny_regressor(seed: int = 0) -> EmbeddedBackbone:
    """The same with 9 quantiles instead of classes."""
    module = tiny_tabicl(seed, max_classes=0, num_quantiles=9)
    return EmbeddedBackbone(module, sha256_of(module), 0)


def tiny_learner(n_classes: int = 2, seed: int = 0) -> TabICLClassifierLearner:
    return TabICLClassifierLearner(tiny_tabicl(seed), n_classes)


def random_rows(n_rows: int, n_columns: int, n_classes: int, seed: int = 0) -> Rows:
    """Standard normal features; the class follows the first column, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, n_columns))
    y = np.clip(np.digitize(x[:, 0], np.linspace(-1, 1, n_classes - 1)), 0, n_classes - 1)
    return Rows(torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y))


class Line(nn.Module):
    """One number, the weight."""

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([weight], dtype=torch.float64))


class LineLearner:
    """A learner whose losses can be computed in the head.

    Row ``i`` has the loss ``1 + slope_i * w + curvature / 2 * w**2 - bonus * [context longer than n_served]`` where
    ``w`` is the only weight, 0 at the start, and the slope is in column 0 of the features. Column 1 is the row's own
    index, so that every call says which rows it saw: ``calls`` holds ``(with gradient, context rows, query rows)``.
    """

    def __init__(
        self,
        curvature: float = 0.0,
        *,
        bonus: float = 0.0,
        n_served: int = 0,
        on_call: Callable[[int, int], None] | None = None,
    ) -> None:
        self.module: nn.Module = Line()
        self.curvature, self.bonus, self.n_served = curvature, bonus, n_served
        self.on_call = on_call
        self.calls: list[tuple[bool, tuple[int, ...], tuple[int, ...]]] = []

    def output(self, context: Rows, query_x: Tensor) -> Tensor:
        trains = torch.is_grad_enabled()
        seen = tuple(map(int, context.x[:, 1])), tuple(map(int, query_x[:, 1]))
        self.calls.append((trains, *seen))
        if self.on_call is not None:
            self.on_call(len(context), len(query_x))
        weight = self.module.weight
        longer = self.bonus * (len(context) > self.n_served)
        return (1 + query_x[:, :1] * weight + 0.5 * self.curvature * weight**2) - longer

    def row_losses(self, output: Tensor, target: Tensor) -> Tensor:
        return output[:, 0]

    def parts(self) -> Mapping[str, Sequence[str]]:
        return {"encoders": ["weight"], "head": ["weight"]}

    @property
    def trained_on(self) -> set[int]:
        """Every row that was in the context or the query of a call with gradients."""
        return {row for trains, context, query in self.calls if trains for row in context + query}


def line_rows(slopes: Sequence[float] | np.ndarray) -> Rows:
    """Rows for :class:`LineLearner`; the target is real-valued, so nothing is stratified."""
    slopes = np.asarray(slopes, dtype=np.float64)
    x = torch.as_tensor(np.column_stack([slopes, np.arange(len(slopes))]))
    return Rows(x, torch.zeros(len(slopes), dtype=torch.float64))


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


class Faulty:
    """Wrap a learner so that something happens at its ``k``-th training call, counted from 0 (or at all of them).

    Parameters
    ----------
    fault
        "loss" makes the loss NaN, "gradient" only its gradient; an exception instance is raised.
    at
        The training call; None means every one.
    """

    def __init__(self, learner: TabICLClassifierLearner, fault: str | BaseException, at: int | None) -> None:
        self.inner, self.fault, self.at = learner, fault, at
        self.module = learner.module
        self.n_calls = 0

    def output(self, context: Rows, query_x: Tensor) -> Tensor:
        out = self.inner.output(context, query_x)
        if not torch.is_grad_enabled():
            return out
        now = self.at is None or self.n_calls == self.at
        self.n_calls += 1
        if not now:
            return out
        if isinstance(self.fault, BaseException):
            raise self.fault
        if self.fault == "loss":
            return out * torch.nan
        out.register_hook(lambda gradient: gradient * torch.nan)
        return out

    def row_losses(self, output: Tensor, target: Tensor) -> Tensor:
        return self.inner.row_losses(output, target)

    def parts(self) -> Mapping[str, Sequence[str]]:
        return self.inner.parts()
