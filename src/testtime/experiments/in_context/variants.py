"""Other ways to train at test time, at equal compute: what an episode is, and what its labels are.

The first paper's limitations ask for schemes beyond one step. All of these are the same steps of AdamW on all
weights, on other episodes, and process the same number of tokens:

* random: context and query rows at random, the scheme of the other figures;
* leave-one-out: all rows but one are the context of that one;
* chunks: one pass along a long prompt. Each chunk is predicted from the chunk before it, and the weights step on it
  before the next one comes: a layer of fast weights that is updated along the sequence;
* self-distillation: short contexts learn what the frozen model answers with all other rows, instead of the labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.episodes import Episode, deal_folds
from testtime.adapt.learner import FROZEN, Rows
from testtime.adapt.train import TrainConfig
from testtime.adapt.train_each import Draw
from testtime.experiments.claims import at_least, at_most
from testtime.experiments.figure import Cell, Figure
from testtime.experiments.in_context.adapting import Contexts, adapt_each, table_of
from testtime.experiments.in_context.learner import GPTLearner
from testtime.experiments.in_context.measures import (
    Adaptation,
    TaskBlocks,
    blocks,
    first_blocks_first,
    shipped,
    tasks_of,
)
from testtime.report import plots
from testtime.results import Claim

__all__ = ["FIGURE", "Config", "chunk_pass", "leave_one_out"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

TITLES = {"varying": "link as in pretraining", "He2": "link never seen: h2"}
METHODS = {
    "icl full": "no training",
    "random": "random episodes",
    "leave one out": "leave-one-out",
    "chunks": "chunk by chunk",
    "distillation": "self-distillation",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """One model, one number of rows; the random episodes of `how` set the number of tokens of every variant.

    Attributes
    ----------
    recipe
        Name of the pretrained model.
    n_rows
        Rows of the prompt N.
    seed
        Root seed.
    """

    recipe: str = "gpt2-links"
    n_rows: int = 256
    seed: int = 20260305

    @classmethod
    def quick(cls) -> Config:
        """Return fewer tasks and steps."""
        return cls(n_tasks=6, block=6, how=Adaptation(n_steps=200, learning_rate=3e-3, n_query=32))

    @property
    def tokens(self) -> int:
        """Tokens that every variant trains on: two for a context row, one for a query row."""
        episode = self.how.config(self.n_rows)
        return episode.n_steps * (2 * episode.n_context + episode.n_query)


def cells(config: Config) -> list[Cell]:
    """One cell for each link, variant and block of tasks."""
    return first_blocks_first(
        [
            cell
            for link in TITLES
            for method in METHODS
            for cell in blocks(config.recipe, config.n_tasks, config.block, link=link, method=method)
        ]
    )


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Train by one variant and measure it; all variants of a block see the same tasks."""
    learner, n, link = shipped(config.recipe), config.n_rows, cell["link"]
    shared = np.random.SeedSequence([config.seed, list(TITLES).index(link), int(cell["id"].split("=")[-1])])
    drawn = tasks_of(config.recipe, link, config.block, n, shared)
    tables = [table_of(X, y) for X, y in zip(drawn.X, drawn.y, strict=True)]
    weights = [FROZEN] * len(tables)
    if cell["method"] != "icl full":
        train_config, trained_on, draw = variant(learner, tables, config, cell["method"])
        weights = adapt_each(learner, trained_on, train_config, seed.spawn(len(tables)), draw=draw)
    contexts = Contexts(full=n)
    view = contexts.with_full if cell["method"] == "icl full" else contexts.with_both
    predictors: list[Callable[[Array], Array]] = [
        lambda X, own=own, rows=rows: view(learner, own, rows, X)
        for own, rows in zip(weights, tables, strict=True)
    ]
    return drawn.score(cell["method"], predictors, link=link)


def variant(
    learner: GPTLearner, tables: Sequence[Rows], config: Config, method: str
) -> tuple[TrainConfig, Sequence[Rows], Draw | None]:
    """Return the settings of a variant, the rows it trains on, and its episodes; tokens are those of the config."""
    how, n = config.how, config.n_rows
    if method == "random":
        return how.config(n), tables, None
    if method == "leave one out":
        steps = config.tokens // (2 * (n - 1) + 1)
        return dataclasses.replace(how.config(n), n_steps=steps), tables, leave_one_out
    if method == "chunks":
        n_chunks = n // how.n_context
        each = config.tokens // (3 * how.n_context) // (n_chunks - 1)
        steps = each * (n_chunks - 1)
        return dataclasses.replace(how.config(n), n_steps=steps), tables, chunk_pass(how.n_context, each)
    taught = [_with_teacher(learner, rows) for rows in tables]
    return how.config(n), taught, _from_teacher(n, how.n_context, how.config(n).n_query)


def leave_one_out(pool: Indices, step: int, rng: np.random.Generator) -> Episode:
    """All rows but one, at random, and that one."""
    order = rng.permutation(pool)
    return Episode(order[1:], order[:1])


def chunk_pass(size: int, steps_each: int) -> Draw:
    """Return episodes along the sequence: a chunk as context, the next as query, `steps_each` steps long.

    >>> draw = chunk_pass(2, 3)
    >>> [draw(np.arange(6), step, np.random.default_rng(0)).query.tolist() for step in (0, 2, 3, 5)]
    [[2, 3], [2, 3], [4, 5], [4, 5]]
    """

    def draw(pool: Indices, step: int, rng: np.random.Generator) -> Episode:
        at = size * (step // steps_each)
        return Episode(pool[at : at + size], pool[at + size : at + 2 * size])

    return draw


def _with_teacher(learner: GPTLearner, rows: Rows, n_folds: int = 4) -> Rows:
    """Append the rows once more, with the frozen model's answers from all rows outside the row's fold as labels."""
    told = np.empty(len(rows))
    everyone = np.arange(len(rows))
    for fold in deal_folds(everyone, None, None, n_folds, np.random.default_rng(0)):
        outside = rows.take(np.setdiff1d(everyone, fold))
        told[fold] = Contexts().with_full(learner, FROZEN, outside, rows.take(fold).x.double().numpy())
    X = rows.x.double().numpy()
    return table_of(np.concatenate([X, X]), np.concatenate([rows.y.double().numpy(), told]))


def _from_teacher(n_rows: int, n_context: int, n_query: int) -> Draw:
    def draw(pool: Indices, step: int, rng: np.random.Generator) -> Episode:
        order = rng.permutation(n_rows)
        return Episode(order[:n_context], n_rows + order[n_context : n_context + n_query])

    return draw


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Labels beat the model's own answers where it does not know the link; long episodes do not pay."""
    mse = table.groupby(["link", "method"])["mse"].mean()
    shift = mse["He2"]
    return [
        at_least(
            "h2: self-distillation leaves an error of at least 5 times that of random episodes",
            shift["distillation"] / shift["random"],
            5.0,
        ),
        at_most(
            "h2: self-distillation stays within a factor 1.5 of its teacher",
            shift["distillation"] / shift["icl full"],
            1.5,
        ),
        at_least(
            "h2: one pass along the sequence lowers the error of in-context learning by a factor 2",
            shift["icl full"] / shift["chunks"],
            2.0,
        ),
        at_least(
            "h2: at equal compute leave-one-out episodes are no better than random ones",
            shift["leave one out"] / shift["random"],
            0.9,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the error of each variant, one panel per link."""
    figure, panels = plots.new_figure(2)
    places = {method: -at for at, method in enumerate(METHODS)}
    for axes, (link, title) in zip(panels, TITLES.items(), strict=True):
        grouped = table[table["link"] == link].groupby("method")["mse"]
        mean, error = grouped.mean(), 2 * grouped.sem()
        for method, colour in zip(METHODS, plots.colours(len(METHODS)), strict=True):
            axes.errorbar(mean[method], places[method], xerr=error[method], fmt="o", color=colour)
        axes.set_yticks(list(places.values()), list(METHODS.values()))
        plots.log_axis(axes, "x", [1e-3, 0.01, 0.1, 1.0])
        plots.name_axes(axes, x="squared error to the noise-free function", title=title)
    text = f"experiment: mean ± 2 standard errors over {config.n_tasks} fresh tasks, N = {config.n_rows}"
    plots.explain(figure, [("measured", text + f"; {config.tokens:,} tokens of training each")])
    return figure


FIGURE = Figure(
    name="gpt2-variants",
    title="Ways to train at test time, at equal compute",
    source="extension of Gozeten et al. (2025) and Kuwataka and Suzuki (2026)",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
