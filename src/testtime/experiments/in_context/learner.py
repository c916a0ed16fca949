"""A pretrained in-context GPT-2 as the adapt engine sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch.nn import functional as F

from testtime.adapt.learner import Rows, Weights, call_with
from testtime.models.gpt import InContextGPT

__all__ = ["GPTLearner"]


class GPTLearner:
    """A regressor on one sequence of rows; it answers with one number, read as the median.

    Parameters
    ----------
    module
        Its weights are marked as not requiring gradients.
    huber
        Errors beyond it count linearly in the training loss, as in pretraining.
    """

    def __init__(self, module: InContextGPT, huber: float = 3.0) -> None:
        self._names = [
            name for name, value in module.named_parameters() if not name.startswith(("gpt.wte", "gpt.wpe"))
        ]
        self.module = module.requires_grad_(False)
        self.huber = huber

    def read(self, weights: Weights, context: Rows) -> Rows:
        """Return the context: it is read anew with each piece of questions, which one pass answers together."""
        return context

    def predict(self, weights: Weights, read: Rows, x: Tensor) -> Tensor:
        """Predict rows from the context, ``(q, D) -> (q, 1)``."""
        return call_with(self.module, weights, InContextGPT.answer, read.x[None], read.y[None], x[None])[
            0, :, None
        ]

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Huber loss per row."""
        return F.huber_loss(output[:, 0], y, reduction="none", delta=self.huber)

    def answer(self, output: Tensor) -> Tensor:
        """The prediction itself: one quantile, at the level 1/2."""
        return output

    def parts(self) -> Mapping[str, Sequence[str]]:
        """The embedding of tokens is "encoders", the read-out is "head"; tables of positions are never trained."""
        return {
            "all": self._names,
            "encoders": [name for name in self._names if name.startswith("embed.")],
            "head": [name for name in self._names if name.startswith("readout.")],
        }
