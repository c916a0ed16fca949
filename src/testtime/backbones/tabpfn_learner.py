"""A TabPFN architecture as the adapt engine sees it, as a classifier and as a regressor.

Without gradients the context is read into the architecture's own key-value cache, and rows are predicted from it. Where
gradients are asked for, the context is kept and every prediction runs the joint pass over context and query rows: the
caches of versions 3 and 3.5 cut parts of the gradient off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from testtime.adapt.learner import Rows, Weights, call_with
from testtime.adapt.losses import pinball, quantile_levels
from testtime.backbones.bars import bar_quantiles
from testtime.backbones.targets import ClassAnswers, location_and_scale

__all__ = ["N_QUANTILES", "TabPFNClassifierLearner", "TabPFNRegressorLearner"]

N_QUANTILES = 99
"""Quantiles a regressor answers with; a bar distribution has any."""


_LATE = ("blocks.", "icl_", "output_", "many_class_decoder.", "heads.")
_HEAD = ("output_projection.", "many_class_decoder.", "heads.")
# Version 3.5 has an encoder of targets and a head for each task; the other task's are not trained.
_OTHER_TASK = {
    "multiclass": (".regression.", ".mlp_regression.", "heads.output_projection."),
    "regression": (".multiclass.", ".mlp_classification.", ".many_class_decoder."),
}


@dataclass(frozen=True)
class _Read:
    """What remains of a context: its targets, and either its rows or the architecture's cache."""

    y: Tensor
    x: Tensor | None = None
    cache: Any = None


class _TabPFN:
    """Reading and predicting, the same for both tasks.

    Parameters
    ----------
    module
        Any architecture of tabpfn.
    trainable
        Names of its trainable weights.
    task_type
        What tabpfn calls the task.
    """

    def __init__(self, module: nn.Module, trainable: Sequence[str], task_type: str) -> None:
        self.module = module.requires_grad_(False)
        unused = _OTHER_TASK[task_type]
        self._trainable = [name for name in trainable if not any(part in name for part in unused)]
        self._options = (
            {"task_type": task_type} if "task_type" in signature(module.forward).parameters else {}
        )

    def parts(self) -> Mapping[str, Sequence[str]]:
        """What embeds cells, columns and rows before the in-context blocks is "encoders", the decoder is "head"."""
        return {
            "all": self._trainable,
            "encoders": [name for name in self._trainable if not name.startswith(_LATE)],
            "head": [name for name in self._trainable if name.startswith(_HEAD)],
        }

    def _forward(self, weights: Weights, x: Tensor, y: Tensor, **cache: Any) -> Any:
        architecture: Any = self.module
        options = architecture.get_default_performance_options()
        if torch.is_grad_enabled():
            # Activations that are computed again in the backward pass would be computed with the base's weights.
            options = dataclasses.replace(options, use_chunkwise_inference=False, force_recompute_layer=False)

        def run(module: nn.Module) -> Any:
            return module(
                x.unsqueeze(1),
                y.to(x.dtype).unsqueeze(1),
                only_return_standard_out=True,
                performance_options=options,
                **self._options,
                **cache,
            )

        return call_with(self.module, weights, run)

    def _read(self, weights: Weights, x: Tensor, y: Tensor) -> _Read:
        if torch.is_grad_enabled():
            return _Read(y, x=x)
        _, cache = self._forward(weights, x, y, return_kv_cache=True)
        return _Read(y, cache=cache)

    def _logits(self, weights: Weights, read: _Read, x: Tensor) -> Tensor:
        """Outputs of the decoder, ``(q, K)``."""
        if read.x is None:
            out = self._forward(weights, x, read.y, kv_cache=read.cache, x_is_test_only=True)
        else:
            out = self._forward(weights, torch.cat([read.x, x]), read.y)
        return out[:, 0]


class TabPFNClassifierLearner(ClassAnswers, _TabPFN):
    """A classifier on one table with `n_classes` classes, whose logits are divided by `temperature`."""

    def __init__(
        self, module: nn.Module, trainable: Sequence[str], n_classes: int, temperature: float
    ) -> None:
        super().__init__(module, trainable, "multiclass")
        self.n_classes = n_classes
        self.temperature = temperature

    def read(self, weights: Weights, context: Rows) -> _Read:
        """Read labelled rows."""
        return self._read(weights, context.x, context.y)

    def predict(self, weights: Weights, read: _Read, x: Tensor) -> Tensor:
        """Logits of the table's classes, ``(q, n_classes)``."""
        return self._logits(weights, read, x)[:, : self.n_classes] / self.temperature


@dataclass(frozen=True)
class _NumericRead:
    """What remains of a context with numeric targets, and their location and scale."""

    read: _Read
    mean: Tensor
    scale: Tensor


class TabPFNRegressorLearner(_TabPFN):
    """A regressor that answers with the percentiles of the predicted bar distribution."""

    def __init__(
        self, module: nn.Module, trainable: Sequence[str], borders: Tensor, temperature: float
    ) -> None:
        super().__init__(module, trainable, "regression")
        like = next(module.parameters())
        self.borders = borders.to(like.device, like.dtype)
        self.temperature = temperature

    def read(self, weights: Weights, context: Rows) -> _NumericRead:
        """Read labelled rows; their targets are brought to mean 0 and standard deviation 1, as in pretraining."""
        mean, scale = location_and_scale(context.y)
        return _NumericRead(self._read(weights, context.x, (context.y - mean) / scale), mean, scale)

    def predict(self, weights: Weights, read: _NumericRead, x: Tensor) -> Tensor:
        """Quantiles at the levels ``k / (K + 1)``, ``(q, K)``, in the units of the context's targets."""
        logits = self._logits(weights, read.read, x) / self.temperature
        quantiles = bar_quantiles(logits, self.borders, quantile_levels(N_QUANTILES, logits))
        return read.mean + read.scale * quantiles

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Continuous ranked probability score per row: twice the pinball loss, averaged over the levels."""
        return 2.0 * pinball(output, y)

    def answer(self, output: Tensor) -> Tensor:
        """The quantiles, which are in order."""
        return output
