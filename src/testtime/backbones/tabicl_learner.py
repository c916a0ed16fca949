"""A ``TabICL`` module as the adapt engine sees it, as a classifier and as a regressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from testtime.adapt.learner import Rows, Weights, call_with
from testtime.backbones.tabicl_forward import ICL_STAGE, KeysValues, TabICLRead, predict_tabicl, read_tabicl
from testtime.backbones.targets import ClassAnswers, QuantileAnswers, location_and_scale

__all__ = ["TabICLClassifierLearner", "TabICLRegressorLearner"]

TARGET_CLIP = 20.0
"""The regressor was pretrained on targets within so many standard deviations of the context's mean."""


class _TabICLParts:
    """The module and the names of its parts.

    The module's weights are marked as not requiring gradients: PyTorch chooses kernels by that mark even where no
    gradient is taken, and the frozen model must give the same bits with and without a delta at zero.
    """

    def __init__(self, module: nn.Module) -> None:
        self._names = [name for name, _ in module.named_parameters() if not name.endswith("rope.freqs")]
        self.module = module.requires_grad_(False)

    def parts(self) -> Mapping[str, Sequence[str]]:
        """Column and row stages are "encoders", norms and biases after them "tail", the decoder is "head".

        "all" leaves out the fixed frequencies.
        """
        flat = {name for name, p in self.module.named_parameters() if p.ndim == 1}
        return {
            "all": self._names,
            "encoders": [name for name in self._names if not name.startswith(ICL_STAGE)],
            "tail": [name for name in self._names if name.startswith(ICL_STAGE) and name in flat],
            "head": [name for name in self._names if name.startswith(f"{ICL_STAGE}.decoder")],
        }


class TabICLClassifierLearner(ClassAnswers, _TabICLParts):
    """A classifier on one table with `n_classes` classes, whose logits are divided by `temperature`."""

    def __init__(self, module: nn.Module, n_classes: int, temperature: float = 1.0) -> None:
        super().__init__(module)
        self.n_classes = n_classes
        self.temperature = temperature

    def read(self, weights: Weights, context: Rows) -> TabICLRead:
        """Read labelled rows."""
        return call_with(self.module, weights, read_tabicl, context.x[None], context.y[None])

    def predict(self, weights: Weights, read: TabICLRead, x: Tensor) -> Tensor:
        """Logits of the table's classes, ``(q, n_classes)``."""
        return self._logits(weights, read, x[None])[0]

    def predict_together(self, weights: Weights, read: TabICLRead, x: Tensor) -> Tensor:
        """Logits of several models, ``(M, q, D) -> (M, q, n_classes)``, in one pass."""
        return self._logits(weights, _as_tables(read), x)

    def _logits(self, weights: Weights, read: TabICLRead, x: Tensor) -> Tensor:
        logits = call_with(self.module, weights, predict_tabicl, read, x)[..., : self.n_classes]
        return logits if self.temperature == 1.0 else logits / self.temperature


class _NumericRead(NamedTuple):
    """What remains of a context with numeric targets: the model's own, and the context's location and scale."""

    read: TabICLRead
    mean: Tensor
    scale: Tensor


class TabICLRegressorLearner(QuantileAnswers, _TabICLParts):
    """A regressor that answers with quantiles of the target at equally spaced levels."""

    def read(self, weights: Weights, context: Rows) -> _NumericRead:
        """Read labelled rows; their targets are brought to mean 0 and standard deviation 1, as in pretraining."""
        mean, scale = location_and_scale(context.y)
        target = ((context.y - mean) / scale).clamp(-TARGET_CLIP, TARGET_CLIP)
        read = call_with(self.module, weights, read_tabicl, context.x[None], target[None])
        return _NumericRead(read, mean, scale)

    def predict(self, weights: Weights, read: _NumericRead, x: Tensor) -> Tensor:
        """Quantiles at the levels ``k / (K + 1)``, ``(q, K)``, in the units of the context's targets; may cross."""
        quantiles = call_with(self.module, weights, predict_tabicl, read.read, x[None])
        return read.mean + read.scale * quantiles[0]

    def predict_together(self, weights: Weights, read: _NumericRead, x: Tensor) -> Tensor:
        """Quantiles of several models, ``(M, q, D) -> (M, q, K)``, in one pass."""
        quantiles = call_with(self.module, weights, predict_tabicl, _as_tables(read.read), x)
        return read.mean[:, None, None] + read.scale[:, None, None] * quantiles


def _as_tables(read: TabICLRead) -> TabICLRead:
    """Take what M models have read of one table each, ``(M, 1, ...)``, for M tables, ``(M, ...)``."""

    def flat(entries: tuple[KeysValues, ...]) -> tuple[KeysValues, ...]:
        return tuple(KeysValues(one.key.squeeze(1), one.value.squeeze(1)) for one in entries)

    return TabICLRead(flat(read.columns), flat(read.rows))
