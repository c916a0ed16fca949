"""A backbone whose every answer is known: the context's own average, plus a linear map that starts at zero.

Frozen, it predicts the shares of the classes in the context, or the context's mean and spread. A gradient step is a
step of multinomial logistic regression, or of linear quantile regression. There is something to gain exactly where
the target follows the columns linearly, on any processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from testtime.adapt.learner import Learner, Rows, Weights, call_with, converted, sharing_tensors
from testtime.adapt.losses import pinball
from testtime.adapt.task import Task
from testtime.backbones.base import Encoded, Limits, Recipe
from testtime.backbones.scaling import ColumnScaler
from testtime.backbones.views import ShuffledView, shuffled_views

N_COLUMNS, N_CLASSES, N_QUANTILES = 12, 10, 9

Watcher = Callable[[str, Weights, Rows | None, Tensor | None], None]


class Linear(nn.Module):
    """A matrix of zeros and a bias of zeros, in float32 as real models come."""

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.map = nn.Linear(N_COLUMNS, n_outputs)
        for parameter in self.parameters():
            nn.init.zeros_(parameter).requires_grad_(False)


def _scores(module: Linear, x: Tensor) -> Tensor:
    return F.linear(x, module.map.weight[:, : x.shape[1]], module.map.bias)


@dataclass
class LinearLearner:
    """See the module's text; `watch` is told of every call with gradients."""

    module: Linear
    n_classes: int
    watch: Watcher | None = None

    def read(self, weights: Weights, context: Rows) -> Tensor:
        if self.watch is not None:
            self.watch("read", weights, context, None)
        if self.n_classes:
            counts = F.one_hot(context.y, self.n_classes).to(context.x.dtype).sum(0)
            return torch.log((counts + 0.5) / (counts + 0.5).sum())
        levels = torch.arange(1, N_QUANTILES + 1, dtype=context.x.dtype) / (N_QUANTILES + 1)
        normal = math.sqrt(2.0) * torch.erfinv(2 * levels - 1)
        return context.y.mean() + context.y.std(correction=0) * normal

    def predict(self, weights: Weights, read: Tensor, x: Tensor) -> Tensor:
        if self.watch is not None:
            self.watch("predict", weights, None, x)
        moved = call_with(self.module, weights, _scores, x)
        return read + (moved[:, : self.n_classes] if self.n_classes else moved)

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output, y, reduction="none") if self.n_classes else 2.0 * pinball(output, y)

    def answer(self, output: Tensor) -> Tensor:
        return torch.softmax(output, -1) if self.n_classes else output.sort(-1).values

    def parts(self) -> Mapping[str, Sequence[str]]:
        return {"encoders": ["map.weight"], "head": ["map.bias"]}


class LinearBackbone:
    """The same for classes and numbers; `watch` sees every call of every learner."""

    name = "linear"
    licence = "none"
    limits = Limits(classes=N_CLASSES, features=N_COLUMNS, context=200)
    recipe = Recipe(
        rates={"encoders": 0.05, "all": 0.05, "norms": 0.05, "head": 0.05, "lora": 0.05},
        n_steps=8,
        n_steps_short=8,
        episode=48,
        n_query=32,
        n_views=4,
        guard_views=2,
        sizes=(16, 32, 64),
        min_rows=24,
    )

    def __init__(self, watch: Watcher | None = None, **recipe: Any) -> None:
        self.watch = watch
        self.recipe = replace(type(self).recipe, **recipe)
        cpu = torch.device("cpu")
        self._modules = {(n, cpu, torch.float32): Linear(n) for n in (N_CLASSES, N_QUANTILES)}
        self.fingerprint = "00" * 32

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        n_outputs = N_CLASSES if task.n_classes else N_QUANTILES
        key = (n_outputs, device, dtype)
        if key not in self._modules:
            self._modules[key] = converted(
                self._modules[n_outputs, torch.device("cpu"), torch.float32], device, dtype
            )
        return LinearLearner(sharing_tensors(self._modules[key]), task.n_classes, self.watch)

    def views(
        self, reference: Encoded, y: NDArray, task: Task, n: int, seed: np.random.SeedSequence
    ) -> Sequence[ShuffledView]:
        return shuffled_views(ColumnScaler.fit(reference.x), reference.x.shape[1], task.n_classes, n, seed)
