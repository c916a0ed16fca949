"""The number of inputs matters in pretraining; test-time training follows the hidden dimension."""

from __future__ import annotations

from dataclasses import dataclass, field

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import curves
from testtime.experiments.figure import Cell, Figure
from testtime.experiments.in_context.measures import (
    Adaptation,
    TaskBlocks,
    blocks,
    first_blocks_first,
    mean_errors,
    task_rows,
)
from testtime.report import plots
from testtime.results import Claim

__all__ = ["FIGURE", "Config"]

MODELS = {4: "gpt2-links", 8: "gpt2-links-d8", 16: "gpt2-links-d16"}
PANELS = {
    "icl full": "in-context, all rows",
    "ttt": "test-time training",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """One model for each number of inputs; directions lie in a hidden subspace of dimension 4.

    Attributes
    ----------
    dims
        Inputs d.
    n_rows
        Numbers of rows N.
    seed
        Root seed.
    """

    dims: tuple[int, ...] = (4, 8, 16)
    n_rows: tuple[int, ...] = (64, 256, 1024)
    how: Adaptation = field(default_factory=lambda: Adaptation(n_folds=0))
    seed: int = 20260303

    @classmethod
    def quick(cls) -> Config:
        """Return fewer tasks, short episodes, and the longest prompts alone; fewer steps would undo the advantage."""
        return cls(n_rows=(1024,), n_tasks=4, block=4, how=Adaptation(n_query=32, query_share=0.0, n_folds=0))


def cells(config: Config) -> list[Cell]:
    """One cell for each d, N and block of tasks."""
    return first_blocks_first(
        [
            cell
            for d in config.dims
            for n in reversed(config.n_rows)
            for cell in blocks(MODELS[d], config.n_tasks, config.block, d=d, n_rows=n)
        ]
    )


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Measure every method on the tasks of a block: the same links and hidden directions at every d."""
    seed = np.random.SeedSequence([config.seed, cell["n_rows"], cell["block"]])
    rows = task_rows(cell["recipe"], "varying", config.block, cell["n_rows"], config.how, seed)
    return [{"d": cell["d"], **row} for row in rows]


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """After test-time training on many rows the errors at all d are close; training wins at each."""
    mse, _ = mean_errors(table, ["d", "n_rows"])
    many = config.n_rows[-1]
    at = mse.xs(many, level="n_rows")
    return [
        at_most(
            f"N = {many}: after test-time training the largest error over d is at most twice the smallest",
            at["ttt"].max() / at["ttt"].min(),
            2.0,
        ),
        at_least(
            f"N = {many}: at every d test-time training is below in-context learning",
            (at["icl full"] / at["ttt"]).min(),
            1.0,
        ),
        at_least(
            f"N = {many}: in-context learning at the largest d leaves at least 1.5 times the error at the smallest",
            at["icl full"][config.dims[-1]] / at["icl full"][config.dims[0]],
            1.5,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against rows, one colour per d and one panel per method."""
    figure, panels = plots.new_figure(2)
    shades = plots.ordered_colours(len(config.dims))
    mean, error = mean_errors(table, ["n_rows", "d"])
    labels = {d: f"d = {d}" for d in config.dims}
    for axes, (method, title) in zip(panels, PANELS.items(), strict=True):
        curves(axes, mean[method].unstack(), labels, shades, 2 * error[method].unstack())
        plots.log_axis(axes, "x", list(config.n_rows))
        plots.log_axis(axes, "y", [1e-3, 0.01, 0.1, 1.0])
        plots.name_axes(axes, x="labelled rows, N", title=title)
    panels[0].set_ylabel("squared error to the noise-free function")
    panels[0].legend(loc="lower left")
    text = f"experiment: mean ± 2 standard errors over {config.n_tasks} fresh tasks, hidden dimension r = 4"
    plots.explain(figure, [("measured", text + "; squared errors winsorised at 9")])
    return figure


FIGURE = Figure(
    name="gpt2-dimension",
    title="A GPT-2 with more inputs and the same hidden dimension",
    source="Kuwataka and Suzuki (2026), experiments",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
