"""A learner of one weight whose losses can be computed in the head, and a clock that passes only when told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from testtime.adapt.learner import Rows, Weights, call_with


class Line(nn.Module):
    """One number, the weight."""

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([weight], dtype=torch.float64), requires_grad=False)


@dataclass(frozen=True)
class LineRead:
    """The rows of a context, by their own index."""

    rows: tuple[int, ...]


@dataclass
class LineLearner:
    """Row ``i`` has the loss ``1 + slope_i * w + curvature / 2 * w**2``, ``w`` being the only weight, 0 at the start.

    The slope is in column 0 of the features. Column 1 is the row's own index, so that every call says which rows it
    saw: ``calls`` holds ``(with gradient, context rows, query rows)``.
    """

    curvature: float = 0.0
    on_call: Callable[[int, int], None] | None = None
    module: nn.Module = field(default_factory=Line)
    calls: list[tuple[bool, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)

    def read(self, weights: Weights, context: Rows) -> LineRead:
        return LineRead(tuple(map(int, context.x[:, 1])))

    def predict(self, weights: Weights, read: LineRead, x: Tensor) -> Tensor:
        self.calls.append((torch.is_grad_enabled(), read.rows, tuple(map(int, x[:, 1]))))
        if self.on_call is not None:
            self.on_call(len(read.rows), len(x))

        def losses(module: nn.Module) -> Tensor:
            return 1 + x[:, :1] * module.weight + 0.5 * self.curvature * module.weight**2

        return call_with(self.module, weights, losses)

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return output[:, 0]

    def answer(self, output: Tensor) -> Tensor:
        return output

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
