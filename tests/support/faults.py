"""Models that misbehave on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from testtime.adapt.learner import Learner, Rows, Weights
from testtime.adapt.task import Task
from testtime.backbones.base import Backbone


class Faulty:
    """Wrap a learner so that something happens at its ``k``-th training call, counted from 0 (or at all of them).

    Parameters
    ----------
    fault
        "loss" makes the loss NaN, "gradient" only its gradient; an exception instance is raised.
    at
        The training call; None means every one.
    """

    def __init__(self, learner: Learner, fault: str | BaseException, at: int | None) -> None:
        self.inner, self.fault, self.at = learner, fault, at
        self.module = learner.module
        self.n_calls = 0

    def read(self, weights: Weights, context: Rows) -> Any:
        return self.inner.read(weights, context)

    def predict(self, weights: Weights, read: Any, x: Tensor) -> Tensor:
        out = self.inner.predict(weights, read, x)
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

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return self.inner.loss(output, y)

    def answer(self, output: Tensor) -> Tensor:
        return self.inner.answer(output)

    def parts(self) -> Mapping[str, Sequence[str]]:
        return self.inner.parts()


class FaultyBackbone:
    """Wrap a backbone so that the learners it gives out are faulty; each counts its own calls.

    Parameters
    ----------
    only
        Number of the learner that is faulty, counted from 0; None makes all of them so.
    """

    def __init__(
        self, backbone: Backbone, fault: str | BaseException, at: int | None, *, only: int | None = None
    ) -> None:
        self.inner, self.fault, self.at, self.only = backbone, fault, at, only
        self.n_learners = 0

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # not there yet while a copy is made
            raise AttributeError(name)
        return getattr(self.inner, name)

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        learner = self.inner.learner(task, device, dtype)
        number, self.n_learners = self.n_learners, self.n_learners + 1
        return learner if self.only not in (None, number) else Faulty(learner, self.fault, self.at)
