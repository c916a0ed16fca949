"""What a foundation model must offer to be adapted; one file per model implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.learner import Learner, Rows
from testtime.adapt.task import Task

__all__ = ["Backbone", "Encoded", "Limits", "Recipe", "View"]


@dataclass(frozen=True)
class Encoded:
    """Rows of a table as numbers, with what each column means.

    Attributes
    ----------
    x
        Values ``(N, D)``; NaN is missing. One column of a table may give several: a date gives days, month, weekday.
    names, kinds
        Name of each column, and "number", "ordinal" or "nominal". Nominal columns hold codes ``0 ... L-1``, and
        between two of them, before or behind all, halves for levels that were not there at fit.
    n_levels
        ``L`` of an ordinal or nominal column, 0 for numbers.
    """

    x: NDArray[np.float64]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    n_levels: tuple[int, ...]


_FEWEST_OF_WIDE = 1024


@dataclass(frozen=True)
class Limits:
    """What the model can take, and what is sensible.

    Attributes
    ----------
    classes
        Classes the model tells apart in one pass; 0 for a regressor.
    features
        Columns.
    context
        Context rows at prediction.
    context_on_cpu
        The same where there is no accelerator, if that is fewer; more are refused when they are asked for.
    cells
        Cells of a context where the user names no number of rows: of wide tables fewer rows are served, though not
        fewer than 1,024. None for no such limit.
    dtypes
        What it can predict in; the first is used on a CPU unless another is asked for.
    """

    classes: int
    features: int
    context: int
    context_on_cpu: int | None = None
    cells: int | None = None
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32)

    def on(self, device: torch.device, n_columns: int = 1) -> Limits:
        """Return the limits on this kind of device, for tables of so many columns.

        >>> limits = Limits(classes=10, features=500, context=4096, cells=200_000)
        >>> [limits.on(torch.device("cpu"), n).context for n in (20, 100, 500)]
        [4096, 2000, 1024]
        """
        on_cpu = self.context_on_cpu if device.type == "cpu" else None
        context = self.context if on_cpu is None else min(self.context, on_cpu)
        if self.cells is not None:
            context = min(context, max(self.cells // max(n_columns, 1), _FEWEST_OF_WIDE))
        return replace(self, context=context, context_on_cpu=on_cpu)


@dataclass(frozen=True)
class Recipe:
    """How this model is best adapted: every tuned number in one place.

    Attributes
    ----------
    rates
        AdamW's first rate by what is trained; for one step, the base length of the line search.
    tensor_rates
        Multiples of the rate by prefix of the weight's name.
    adapt
        What is trained by default.
    n_steps, n_steps_short, rows_per_step
        Steps at most, for a long and for a short context, and training rows that are worth one step.
    snapshots
        Shares of the steps after which the delta may be served.
    longer, worth_longer
        Where all rows are served and the user names no number of steps: multiples of the steps that are taken on top,
        one after the other, while the last ones lowered the expected loss by at least this share of what is left of it.
    episode, longest_episode
        Context rows of an episode at most; where more than twice as many are served, half of them, up to the second.
    n_query
        Query rows of an episode.
    served_share
        Share of the episodes that have the very context that will be served, where that is not trained on.
    n_views, guard_views
        Frozen views that are averaged when served, and out of fold.
    sizes
        Context lengths worth serving when a short context is asked for.
    context_draws
        Draws of a short context, of which the one is served from which the frozen model predicts other rows best.
    min_rows
        Fewest rows that are worth training on.
    together_rows
        Rows of a prediction up to which all members predict in one pass; 0 for a model whose learner has no
        ``predict_together``, or whose views differ in their columns.
    """

    rates: Mapping[str, float]
    tensor_rates: Mapping[str, float] = field(default_factory=dict)
    adapt: str = "encoders"
    n_steps: int = 20
    n_steps_short: int = 50
    rows_per_step: int = 6
    snapshots: tuple[float, ...] = (0.5, 1.0)
    longer: tuple[float, ...] = ()
    worth_longer: float = 0.05
    episode: int = 512
    longest_episode: int = 512
    n_query: int = 128
    served_share: float = 0.5
    n_views: int = 8
    guard_views: int = 3
    sizes: tuple[int, ...] = (32, 64, 128, 256)
    context_draws: int = 1
    min_rows: int = 64
    together_rows: int = 0

    def episode_rows(self, n_context: int) -> int:
        """Return the context rows of an episode where so many rows are served.

        >>> recipe = Recipe(rates={}, longest_episode=1024)
        >>> [recipe.episode_rows(n) for n in (100, 1000, 1500, 4000)]
        [100, 512, 750, 1024]
        """
        return min(n_context, max(self.episode, min(n_context // 2, self.longest_episode)))

    def rate(self, adapt: str) -> float:
        """Return the first rate for what is trained; the tail moves like all norms where nothing else is said."""
        return self.rates[adapt] if adapt in self.rates or adapt != "tail" else self.rates["norms"]


class View(Protocol):
    """One way of showing a table to the model: its normalisation, column order and class codes, fixed."""

    def rows(self, x: NDArray[np.float64], y: NDArray, like: torch.Tensor) -> Rows:
        """Return labelled rows as the model sees them, in the dtype and on the device of `like`."""
        ...

    def features(self, x: NDArray[np.float64], like: torch.Tensor) -> torch.Tensor:
        """Return rows ``(q, D)`` as the model sees them."""
        ...

    def answer(self, answer: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return an answer ``(q, A)`` in the table's own order of classes, or its quantiles in order."""
        ...


class Backbone(Protocol):
    """A pretrained in-context learner.

    Attributes
    ----------
    name
        The name users pass as ``backbone=``.
    fingerprint
        sha256 of the base weights; a saved adapter refuses any other.
    licence
        Terms of the weights.
    limits, recipe
        What it can take, and how it is adapted.
    """

    name: str
    fingerprint: str
    licence: str
    limits: Limits
    recipe: Recipe

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        """Return a learner for one thread; all learners of one device and dtype share the base's tensors."""
        ...

    def views(
        self, reference: Encoded, y: NDArray, task: Task, n: int, seed: np.random.SeedSequence
    ) -> Sequence[View]:
        """Return `n` views, a function of the reference rows and the seed alone; the first is the plainest."""
        ...
