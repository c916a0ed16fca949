"""A ``TabICL`` module cut in two: a frozen trunk that encodes rows, and a tail that learns from what it encoded.

The column and the row stage take most of the time of a step and no gradient flows into them when only the in-context
stage is trained. A table's rows are then encoded once, and every step after that runs the tail alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from testtime.adapt.learner import Learner, Rows, Weights, call_with
from testtime.backbones.tabicl_forward import (
    ICL_STAGE,
    encode_context,
    encode_rows,
    predict_encoded,
    read_encoded,
)
from testtime.backbones.tabicl_learner import TARGET_CLIP, TabICLClassifierLearner, TabICLRegressorLearner
from testtime.backbones.targets import ClassAnswers, QuantileAnswers, location_and_scale

__all__ = ["Trunk", "trunk_of"]


class _TailParts:
    """The in-context stage as a module of its own."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def parts(self) -> Mapping[str, Sequence[str]]:
        """Its norms and biases are the "tail"."""
        return {"tail": [name for name, p in self.module.named_parameters() if p.ndim == 1]}


class _ClassifierTail(ClassAnswers, _TailParts):
    def __init__(self, module: nn.Module, n_classes: int, temperature: float) -> None:
        super().__init__(module)
        self.n_classes, self.temperature = n_classes, temperature

    def read(self, weights: Weights, context: Rows) -> Any:
        """Read encoded rows with their class codes."""
        return call_with(self.module, weights, read_encoded, context.x[None], context.y[None])

    def predict(self, weights: Weights, read: Any, x: Tensor) -> Tensor:
        """Logits of the table's classes, ``(q, n_classes)``."""
        logits = call_with(self.module, weights, predict_encoded, read, x[None])[0, :, : self.n_classes]
        return logits / self.temperature


class _RegressorTail(QuantileAnswers, _TailParts):
    def read(self, weights: Weights, context: Rows) -> Any:
        """Read encoded rows with their targets."""
        mean, scale = location_and_scale(context.y)
        target = ((context.y - mean) / scale).clamp(-TARGET_CLIP, TARGET_CLIP)
        return call_with(self.module, weights, read_encoded, context.x[None], target[None]), mean, scale

    def predict(self, weights: Weights, read: Any, x: Tensor) -> Tensor:
        """Quantiles in the units of the context's targets, ``(q, K)``."""
        rows, mean, scale = read
        return mean + scale * call_with(self.module, weights, predict_encoded, rows, x[None])[0]


@dataclass(frozen=True)
class Trunk:
    """What is frozen, and the learner of what is not.

    Attributes
    ----------
    tail
        Takes rows that :meth:`encode` returned in the place of features; answers as the whole model does.
    prefix
        What its weights' names begin with in the whole model.
    """

    tail: Learner
    prefix: str
    _whole: nn.Module
    _classifies: bool

    def encode(self, context_x: Tensor, context_y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode rows of tables of one shape.

        Parameters
        ----------
        context_x, context_y
            Labelled rows, ``(B, N, D)`` and ``(B, N)``.
        x
            Rows that will be predicted from them, ``(B, Q, D)``.

        Returns
        -------
        tuple of Tensor
            The context as the tail reads it, ``(B, N, W)``, and the rows as it predicts them, ``(B, Q, W)``.
        """
        with torch.no_grad():
            columns, context = encode_context(self._whole, context_x, self._shown(context_y))
            return context, encode_rows(self._whole, columns, x)

    def _shown(self, y: Tensor) -> Tensor:
        """Targets as the column stage sees them."""
        if self._classifies:
            return y
        moments = [location_and_scale(own) for own in y]
        mean, scale = (torch.stack(values)[:, None] for values in zip(*moments, strict=True))
        return ((y - mean) / scale).clamp(-TARGET_CLIP, TARGET_CLIP)


def trunk_of(learner: Learner) -> Trunk | None:
    """Return a learner cut in two; None for a model that is not cut here."""
    if isinstance(learner, TabICLClassifierLearner):
        stage: Any = learner.module.icl_predictor
        tail = _ClassifierTail(stage, learner.n_classes, learner.temperature)
        return Trunk(tail, f"{ICL_STAGE}.", learner.module, True)
    if isinstance(learner, TabICLRegressorLearner):
        stage = learner.module.icl_predictor
        return Trunk(_RegressorTail(stage), f"{ICL_STAGE}.", learner.module, False)
    return None
