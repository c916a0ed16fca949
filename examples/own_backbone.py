"""
Adapt an in-context model of your own
=====================================

Here soft nearest neighbours, whose metric is what test-time training learns.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from torch import Tensor, nn
from torch.nn import functional as F

from testtime import TTTClassifier
from testtime.adapt.learner import Learner, Rows, Weights, call_with
from testtime.adapt.task import Task
from testtime.backbones.base import Encoded, Limits, Recipe, View
from testtime.backbones.modules import HeldModule
from testtime.backbones.scaling import ColumnScaler
from testtime.backbones.views import shuffled_views


class Neighbours(nn.Module):
    """Each row votes for its class with a weight that falls with its distance after a linear map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.metric = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.metric.weight)
        self.sharpness = nn.Parameter(torch.tensor([0.0]))

    def forward(self, embedded: Tensor, y: Tensor, query: Tensor) -> Tensor:
        distance = torch.cdist(query, embedded).square()
        votes = torch.softmax(-self.sharpness.exp() * distance, dim=1)
        return (votes @ y).clamp_min(1e-4).log()


class NeighboursLearner:
    """What the engine asks of a model; it holds no state, and weights are an argument."""

    def __init__(self, module: Neighbours, n_classes: int) -> None:
        self.module, self.n_classes = module, n_classes

    def _embed(self, weights: Weights, x: Tensor) -> Tensor:
        padded = F.pad(x, (0, self.module.metric.in_features - x.shape[1]))
        return call_with(self.module, weights, lambda module: module.metric(padded))

    def read(self, weights: Weights, context: Rows) -> tuple[Tensor, Tensor]:
        """What is kept of a context: here its rows after the map, and their classes."""
        embedded = self._embed(weights, context.x)
        return embedded, F.one_hot(context.y, self.n_classes).to(embedded.dtype)

    def predict(self, weights: Weights, read: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        return call_with(self.module, weights, self.module.__class__.forward, *read, self._embed(weights, x))

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output, y, reduction="none")

    def answer(self, output: Tensor) -> Tensor:
        return torch.softmax(output, dim=-1)

    def parts(self) -> Mapping[str, Sequence[str]]:
        return {"encoders": ["metric.weight"], "head": ["sharpness"]}


class NeighboursBackbone:
    """The model, what it can take, and how tables are shown to it."""

    name, licence = "neighbours", "MIT"
    limits = Limits(classes=10, features=32, context=2000)
    recipe = Recipe(rates={"encoders": 3e-2, "head": 3e-2, "all": 3e-2})

    def __init__(self) -> None:
        module = Neighbours(self.limits.features)
        self._module = HeldModule(module)
        weights = b"".join(tensor.detach().numpy().tobytes() for tensor in module.state_dict().values())
        self.fingerprint = hashlib.sha256(weights).hexdigest()

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        return NeighboursLearner(self._module.lend(device, dtype), task.n_classes)

    def views(
        self, reference: Encoded, y: Any, task: Task, n: int, seed: np.random.SeedSequence
    ) -> Sequence[View]:
        scaler = ColumnScaler.fit(reference.x)
        return shuffled_views(scaler, reference.x.shape[1], task.n_classes, n, seed)


if __name__ == "__main__":
    X, y = make_classification(900, 12, n_informative=3, n_redundant=0, random_state=0)
    model = TTTClassifier(backbone=NeighboursBackbone(), random_state=0).fit(X[:600], y[:600])
    print(model.adaptation_.explain())
    frozen = model.predict_proba_at(X[600:], model.adaptation_.n_context, adapted=False)
    before, after = log_loss(y[600:], frozen), log_loss(y[600:], model.predict_proba(X[600:]))
    print(f"log loss on 300 new rows: {before:.3f} frozen, {after:.3f} adapted")
