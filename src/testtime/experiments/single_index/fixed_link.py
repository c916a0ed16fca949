"""Is test-time training still ahead when all tasks share one link?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import INTERVAL, error_panels, medians
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import (
    TaskBlocks,
    bench,
    draw_tasks,
    family_cells,
    fit_in_context,
    oracle,
    three_stages,
)
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell

__all__ = ["FIGURE", "Config"]

FAMILIES = {"varying": "A fresh link per task: h₃ + c h₄", "fixed": "One link for all tasks: h₃ + h₄/4"}
METHODS = {
    "stages": "three stages",
    "in context": "frozen transformer, in context",
    "oracle direction": "read-out on the true direction",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """The frozen transformer and the three stages on varying links and on one fixed link.

    Attributes
    ----------
    dim
        Inputs d.
    n_rows
        Labelled rows N.
    n_context_tasks
        Tasks on which the read-out of the frozen transformer is fitted.
    seed
        Root seed.
    """

    dim: int = 8
    n_rows: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048)
    n_context_tasks: int = 400
    seed: int = 20250928

    @classmethod
    def quick(cls) -> Config:
        """Return fewer sizes and tasks."""
        return cls(n_rows=(64, 256, 1024), n_tasks=16, n_prompts=2000, n_context_tasks=200)


def cells(config: Config) -> list[Cell]:
    """One cell for each link family, N and block of tasks."""
    return family_cells(config, "link", FAMILIES, config.n_rows)


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Fit the three stages, and run the frozen transformer on the same rows."""
    setup = bench(config.dim, config.rank, seed=config.seed, n_prompts=config.n_prompts, link=cell["link"])
    readout_seed, tasks_seed = seed.spawn(2)
    frozen = fit_in_context(setup, cell["n_rows"], n_tasks=config.n_context_tasks, seed=readout_seed)
    drawn = draw_tasks(setup.family, config.block, cell["n_rows"], tasks_seed)
    contexts = list(zip(drawn.tasks, drawn.X, drawn.y, strict=True))
    predictors = {
        "stages": three_stages(drawn, subspace=setup.pretrained.subspace),
        "in context": [partial(frozen.predict, X, y) for _, X, y in contexts],
        "oracle direction": [oracle(X, y, task.direction) for task, X, y in contexts],
    }
    where = {"link": cell["link"], "n_rows": cell["n_rows"]}
    return drawn.score_each(predictors, **where)


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """The plateau of one attention layer is its architecture: a fixed link does not remove it."""
    most = config.n_rows[-1]
    varying, fixed = (medians(table[table["link"] == link], "n_rows", "method") for link in FAMILIES)
    return [
        at_least(
            f"one fixed link: the frozen transformer still has an error of 0.25 or more at N = {most}",
            fixed["in context"][most],
            0.25,
        ),
        at_least(
            f"one fixed link: at N = {most} its error is at least half of that on varying links",
            fixed["in context"][most] / varying["in context"][most],
            0.5,
        ),
        at_least(
            "one fixed link: at every N from 64 the three stages have at most a fifth of its error (ratio)",
            (fixed["in context"] / fixed["stages"]).loc[64:].min(),
            5.0,
        ),
        at_most(
            f"the three stages do not need a shared link: error on varying links at N = {most}",
            varying["stages"][most],
            0.01,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against N for varying links and for one fixed link."""
    figure, panels = plots.new_figure(2, height=4.8)
    shown = [
        (axes, table[table["link"] == link], title)
        for axes, (link, title) in zip(panels, FAMILIES.items(), strict=True)
    ]
    error_panels(shown, METHODS, config.n_rows, [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0], bottom=1e-5)
    text = f"experiment: median over {config.n_tasks} fresh tasks, r = {config.rank} of d = {config.dim}"
    plots.explain(figure, [("measured", text + f"; squared errors winsorised at 9; {INTERVAL}")])
    return figure


FIGURE = Figure(
    name="single-index-fixed-link",
    title="Varying links and one fixed link",
    source="Kuwataka and Suzuki (2026), experiment on a fixed link",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
