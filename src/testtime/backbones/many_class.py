r"""More classes than the model knows: each class is a word of digits, and the model tells digits apart.

A codebook gives class :math:`c` the digits :math:`d_1(c),\dots,d_L(c)`, each of at most as many values as the model has
classes. The model reads the same context ``L`` times, labelled with one digit each, and answers

.. math:: \log p(c \mid x) = \sum_{l=1}^{L} \log p_l(d_l(c) \mid x) + \mathrm{const},

normalised over the classes there are. Training lowers the log loss of :math:`p(c \mid x)` itself, so that an adapter
learns all digits at once. Nothing else in this library notices.

``L`` is the smallest number that tells all classes apart. Longer words would correct errors (Dietterich and Bakiri,
1995, "Solving multiclass learning problems via error-correcting output codes"); here the views do, since each groups
the classes in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from testtime.adapt.learner import Learner, Rows, Weights
from testtime.adapt.task import Classes, Task
from testtime.adapt.together import TogetherLearner
from testtime.backbones.base import Backbone, Encoded, View

__all__ = ["MOST_CLASSES", "CodebookLearner", "ManyClassBackbone", "codebook", "with_classes"]

MOST_CLASSES = 500
"""Classes of a target at most: each must be shown by the context."""

_DRAWS = 20


@lru_cache(maxsize=32)
def codebook(n_classes: int, base: int) -> NDArray[np.int64]:
    """Return the digits of each class, ``(L, C)``, the same on every machine; no two classes have the same word.

    Every digit deals a random order of the classes evenly into `base` groups. Of several draws the one is kept in which
    the two nearest words differ most.

    >>> words = codebook(26, 10)
    >>> words.shape, int(words.max()), len(np.unique(words.T, axis=0))
    ((2, 26), 9, 26)
    """
    needed = _digits_needed(n_classes, base)
    rng = np.random.default_rng(np.random.SeedSequence([n_classes, base]))
    best, best_distance = np.empty((0, n_classes), dtype=np.int64), -1.0
    for _ in range(_DRAWS):
        shuffled = [rng.permutation(n_classes) for _ in range(needed)]
        words = np.stack([order * base // n_classes for order in shuffled])
        differing = (words[:, :, None] != words[:, None, :]).sum(0) + len(words) * np.eye(
            n_classes, dtype=int
        )
        # The number of nearest pairs decides between draws with the same smallest distance.
        distance = differing.min() - (differing == differing.min()).mean()
        if distance > best_distance:
            best, best_distance = words, distance
    return best if best_distance > 0 else _positional(n_classes, base)


def _positional(n_classes: int, base: int) -> NDArray[np.int64]:
    """Digits of the class number, which always tell the classes apart."""
    places = base ** np.arange(_digits_needed(n_classes, base))
    return np.arange(n_classes) // places[:, None] % base


def _digits_needed(n_classes: int, base: int) -> int:
    needed = 1
    while base**needed < n_classes:
        needed += 1
    return needed


class CodebookLearner:
    """A learner of many classes made of a learner of few.

    Parameters
    ----------
    inner
        Tells as many classes apart as a digit has values.
    words
        Digits of each class, ``(L, C)``.
    """

    def __init__(self, inner: Learner, words: NDArray[np.int64]) -> None:
        self.inner, self.module = inner, inner.module
        self._words = torch.as_tensor(words, device=next(inner.module.parameters()).device)

    def read(self, weights: Weights, context: Rows) -> tuple[Any, ...]:
        """Read labelled rows once for each digit."""
        return tuple(self.inner.read(weights, Rows(context.x, digits[context.y])) for digits in self._words)

    def predict(self, weights: Weights, read: tuple[Any, ...], x: Tensor) -> Tensor:
        """Logits of the classes, ``(q, C)``."""
        return self._logits(self.inner.predict, weights, read, x)

    def predict_together(self, weights: Weights, read: tuple[Any, ...], x: Tensor) -> Tensor:
        """Logits of several models, ``(M, q, D) -> (M, q, C)``, where the learner inside can do so."""
        return self._logits(cast(TogetherLearner, self.inner).predict_together, weights, read, x)

    def _logits(
        self, predict: Callable[..., Tensor], weights: Weights, read: tuple[Any, ...], x: Tensor
    ) -> Tensor:
        def of_digit(digits: Tensor, one: Any) -> Tensor:
            answer = self.inner.answer(predict(weights, one, x))
            return answer.clamp_min(torch.finfo(answer.dtype).tiny).log()[..., digits]

        return reduce(torch.add, map(of_digit, self._words, read))

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Log loss per row in nats."""
        return F.cross_entropy(output, y, reduction="none")

    def answer(self, output: Tensor) -> Tensor:
        """Probabilities of the classes."""
        return torch.softmax(output, dim=-1)

    def parts(self) -> Mapping[str, Sequence[str]]:
        """The parts of the learner inside."""
        return self.inner.parts()


@dataclass(frozen=True)
class _RecodedView:
    """A view with its own order of many classes, over the columns of another one.

    The order decides which classes share a digit, so views group them differently, and their average mends errors.
    """

    inner: View
    codes: NDArray[np.int64]

    def rows(self, x: NDArray[np.float64], y: NDArray, like: Tensor) -> Rows:
        """Return labelled rows."""
        return Rows(self.features(x, like), torch.as_tensor(self.codes[y], device=like.device))

    def features(self, x: NDArray[np.float64], like: Tensor) -> Tensor:
        """Return rows as the view inside shows them."""
        return self.inner.features(x, like)

    def answer(self, answer: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities in the table's order of classes."""
        return answer[:, self.codes]


class ManyClassBackbone:
    """A backbone for a number of classes that is above its limit.

    Parameters
    ----------
    inner
        A classifier.
    n_classes
        Classes of the table.
    """

    def __init__(self, inner: Backbone, n_classes: int) -> None:
        self.inner, self._base = inner, inner.limits.classes
        self.name, self.fingerprint, self.licence = inner.name, inner.fingerprint, inner.licence
        self.limits, self.recipe = replace(inner.limits, classes=n_classes), inner.recipe

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        """Return a learner for one thread."""
        inner = self.inner.learner(Classes(self._base), device, dtype)
        return CodebookLearner(inner, codebook(task.n_classes, self._base))

    def views(
        self, reference: Encoded, y: NDArray, task: Task, n: int, seed: np.random.SeedSequence
    ) -> Sequence[_RecodedView]:
        """Return views of the columns as the backbone inside makes them, each with its own order of the classes."""
        inner_seed, code_seed = seed.spawn(2)
        digits = codebook(task.n_classes, self._base)[0]
        inner = self.inner.views(reference, digits[y], Classes(self._base), n, inner_seed)
        rng = np.random.default_rng(code_seed)
        orders = [np.arange(task.n_classes), *(rng.permutation(task.n_classes) for _ in range(1, n))]
        return tuple(_RecodedView(view, order) for view, order in zip(inner, orders, strict=True))


def with_classes(backbone: Backbone, task: Task) -> Backbone:
    """Return a backbone that tells the classes of `task` apart: this one, where it can."""
    if task.n_classes <= backbone.limits.classes or not backbone.limits.classes:
        return backbone
    return ManyClassBackbone(backbone, task.n_classes)
