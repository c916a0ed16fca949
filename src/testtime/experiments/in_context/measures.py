"""What the figures of the in-context GPT-2 share: shipped models, links, methods and their errors."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from testtime.adapt.delta import DeltaSpec
from testtime.adapt.learner import FROZEN
from testtime.adapt.train import TrainConfig
from testtime.errors import InputError, nearest, sentence
from testtime.experiments.drawing import curves
from testtime.experiments.figure import Cell
from testtime.experiments.in_context.adapting import Contexts, adapt_each, guard_each, table_of
from testtime.experiments.in_context.learner import GPTLearner
from testtime.experiments.in_context.prompts import link_family
from testtime.experiments.in_context.recipes import Recipe
from testtime.experiments.single_index.measures import Drawn, draw_tasks
from testtime.models.gpt import InContextGPT
from testtime.report import plots
from testtime.tasks.links import LinkFamily

__all__ = [
    "LINKS",
    "METHODS",
    "Adaptation",
    "TaskBlocks",
    "blocks",
    "draw_errors",
    "fingerprint",
    "first_blocks_first",
    "mean_errors",
    "shipped",
    "task_rows",
    "tasks_of",
]

N_TEST = 400
"""Test rows per task."""

_SIZE = sqrt(1.0 + 1.5**2)

LINKS = {
    "varying": LinkFamily(),
    "fixed": LinkFamily.fixed({3: 1.0, 4: 0.25}),
    "He2": LinkFamily.fixed({2: 1.0}),
    "large c": LinkFamily.fixed({3: 1.0 / _SIZE, 4: 1.5 / _SIZE}),
}
"""Test links: h3 + c h4 with c as in pretraining, c = 1/4, h2 (never seen), and c = 1.5 scaled to variance 1."""

METHODS = {
    "icl short": "in-context, 64 rows",
    "icl full": "in-context, all rows (512 at most)",
    "ttt": "test-time training, no guard",
    "guarded": "test-time training, guarded",
}


@dataclass(frozen=True)
class Adaptation:
    """How a figure adapts; compared on tasks that no figure reports.

    Attributes
    ----------
    n_steps, learning_rate
        Steps, and AdamW's first rate.
    spec
        What is trained.
    n_context, n_query
        Rows of an episode.
    query_share
        Share of all rows that are the queries of an episode, where that is more than `n_query`.
    n_folds
        Adapters of a guarded task; 0 leaves the guarded model out, which saves two thirds of the time.
    """

    n_steps: int = 600
    learning_rate: float = 1.5e-3
    spec: DeltaSpec = field(default_factory=lambda: DeltaSpec("all"))
    n_context: int = 16
    n_query: int = 64
    query_share: float = 0.125
    n_folds: int = 2

    def config(self, n_rows: int) -> TrainConfig:
        """Return the engine's settings for a task of so many rows."""
        return TrainConfig(
            n_steps=self.n_steps,
            n_context=self.n_context,
            n_query=max(self.n_query, int(self.query_share * n_rows)),
            learning_rate=self.learning_rate,
            spec=self.spec,
        )


@dataclass(frozen=True)
class TaskBlocks:
    """Test tasks in cells of a block each, and how they are adapted to.

    Attributes
    ----------
    n_tasks, block
        Test tasks per point, and in a cell.
    how
        How tasks are adapted to.
    """

    n_tasks: int = 30
    block: int = 15
    how: Adaptation = field(default_factory=Adaptation)


@lru_cache(maxsize=4)
def shipped(name: str) -> GPTLearner:
    """Return the pretrained model that ships under the name of its recipe.

    Raises
    ------
    InputError
        When there is none of this name.
    StoreError
        When its files are damaged.
    """
    return GPTLearner(InContextGPT.from_pretrained(_folder(name)))


def fingerprint(name: str) -> str:
    """Return what changes when the shipped weights do; cells hold it, so that they are computed again."""
    return json.loads((_folder(name) / "config.json").read_text())["sha256"][:12]


def _folder(name: str) -> Path:
    weights = Path(str(files("testtime.experiments.in_context") / "weights"))
    known = sorted(path.name for path in weights.iterdir() if path.is_dir())
    if name not in known:
        raise InputError(sentence(f"no pretrained model {name!r} ships here", remedy=nearest(name, known)))
    return weights / name


def tasks_of(recipe: str, link: str, n_tasks: int, n_rows: int, seed: np.random.SeedSequence) -> Drawn:
    """Draw tasks inside the hidden subspace of a recipe, with a link of :data:`LINKS`."""
    family = dataclasses.replace(link_family(Recipe.load(recipe)), link=LINKS[link])
    drawn = draw_tasks(family, n_tasks, n_rows, seed)
    few = {name: getattr(drawn, name)[:, :N_TEST] for name in ("X_test", "y_test", "mean_test")}
    return dataclasses.replace(drawn, **few)


def task_rows(
    recipe: str, link: str, n_tasks: int, n_rows: int, how: Adaptation, seed: np.random.SeedSequence
) -> list[dict[str, Any]]:
    """Return the errors of every method on fresh tasks, one row per task and method."""
    learner, contexts = shipped(recipe), Contexts()
    task_seed, *step_seeds = seed.spawn(1 + 2 * n_tasks)
    drawn = tasks_of(recipe, link, n_tasks, n_rows, task_seed)
    tables = [table_of(X, y) for X, y in zip(drawn.X, drawn.y, strict=True)]
    adapted = adapt_each(learner, tables, how.config(n_rows), step_seeds[:n_tasks])
    guarded = []
    if how.n_folds:
        guarded = guard_each(
            learner, tables, how.config(n_rows), step_seeds[n_tasks:], contexts, n_folds=how.n_folds
        )
    told = {
        "icl short": lambda t: lambda X: contexts.with_short(learner, FROZEN, tables[t], X),
        "icl full": lambda t: lambda X: contexts.with_full(learner, FROZEN, tables[t], X),
        "ttt": lambda t: lambda X: contexts.with_both(learner, adapted[t], tables[t], X),
        "guarded": lambda t: lambda X: guarded[t].predict(learner, tables[t], X, contexts),
    }
    if not guarded:
        del told["guarded"]
    rows = []
    for method, of in told.items():
        rows += drawn.score(method, [of(t) for t in range(n_tasks)], link=link, n_rows=n_rows, model=recipe)
        for t, row in enumerate(rows[-n_tasks:]):
            row["task"] = t
            row["adapted_weight"] = guarded[t].share if method == "guarded" else np.nan
    return rows


def blocks(recipe: str, n_tasks: int, block: int, **columns: Any) -> list[Cell]:
    """Return the cells of one setting: its tasks in blocks."""
    label = " ".join(f"{key}={value}" for key, value in columns.items())
    own = {"recipe": recipe, "weights": fingerprint(recipe), **columns}
    return [{"id": f"{recipe} {label} block={i}", "block": i, **own} for i in range(n_tasks // block)]


def first_blocks_first(cells: list[Cell]) -> list[Cell]:
    """Order cells by the number of their block: a run that is stopped has some tasks of every setting."""
    return sorted(cells, key=lambda cell: cell["block"])


def mean_errors(table: pd.DataFrame, by: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mean of the squared errors over tasks and its standard error, one column per method."""
    grouped: Any = table.groupby([*by, "method"])["mse"]
    return grouped.mean().unstack(), grouped.sem().unstack()


def draw_errors(axes: Axes, table: pd.DataFrame, title: str, sizes: list[int]) -> None:
    """Draw the mean squared error of each method against the number of rows, with two standard errors."""
    mean, error = mean_errors(table, ["n_rows"])
    curves(axes, mean, METHODS, plots.colours(len(METHODS)), 2 * error)
    plots.log_axis(axes, "x", sizes)
    plots.log_axis(axes, "y", [1e-3, 0.01, 0.1, 1.0])
    plots.name_axes(axes, x="labelled rows, N", title=title)
