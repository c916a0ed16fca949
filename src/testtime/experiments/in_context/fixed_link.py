"""With one link for all tasks there is little left to adapt to."""

from __future__ import annotations

from dataclasses import dataclass, field

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.figure import Cell, Figure
from testtime.experiments.in_context.measures import (
    Adaptation,
    TaskBlocks,
    blocks,
    draw_errors,
    first_blocks_first,
    mean_errors,
    task_rows,
)
from testtime.report import plots
from testtime.results import Claim

__all__ = ["FIGURE", "Config"]

SETTINGS = {"gpt2-links-fixed": "fixed", "gpt2-links": "varying"}
TITLES = {
    "gpt2-links-fixed": "one link in pretraining and at test time",
    "gpt2-links": "a link of its own for every task",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """Two models, each on tasks as in its pretraining.

    Attributes
    ----------
    n_rows
        Numbers of rows N.
    seed
        Root seed.
    """

    n_rows: tuple[int, ...] = (64, 256, 1024)
    how: Adaptation = field(default_factory=lambda: Adaptation(n_folds=0))
    seed: int = 20260302

    @classmethod
    def quick(cls) -> Config:
        """Return fewer tasks, short episodes, and the longest prompts alone; fewer steps would undo the advantage."""
        return cls(n_rows=(1024,), n_tasks=5, block=5, how=Adaptation(n_query=32, query_share=0.0, n_folds=0))


def cells(config: Config) -> list[Cell]:
    """One cell for each model, N and block of tasks."""
    return first_blocks_first(
        [
            cell
            for recipe in SETTINGS
            for n in reversed(config.n_rows)
            for cell in blocks(recipe, config.n_tasks, config.block, n_rows=n)
        ]
    )


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Measure every method on the tasks of a block."""
    recipe = cell["recipe"]
    return task_rows(recipe, SETTINGS[recipe], config.block, cell["n_rows"], config.how, seed)


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """The advantage of test-time training is there with links that vary, and not with one link."""
    mse, _ = mean_errors(table, ["model", "n_rows"])
    gain = mse["icl full"] / mse["ttt"]
    fixed, many = gain["gpt2-links-fixed"], config.n_rows[-1]
    return [
        at_most("one link: test-time training within 1.5 of in-context learning, better", fixed.max(), 1.5),
        at_least(
            "one link: test-time training within 1.5 of in-context learning, worse", fixed.min(), 1 / 1.5
        ),
        at_least(f"links that vary, N = {many}: test-time training wins", gain["gpt2-links"][many], 1.5),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against rows, one panel per model."""
    figure, panels = plots.new_figure(2)
    for axes, (model, title) in zip(panels, TITLES.items(), strict=True):
        draw_errors(axes, table[table["model"] == model], title, list(config.n_rows))
    panels[0].set_ylabel("squared error to the noise-free function")
    panels[1].legend(loc="lower left")
    text = f"experiment: mean ± 2 standard errors over {config.n_tasks} fresh tasks; squared errors winsorised at 9"
    plots.explain(figure, [("measured", text)])
    return figure


FIGURE = Figure(
    name="gpt2-fixed-link",
    title="With a fixed link the advantage of test-time training disappears",
    source="Kuwataka and Suzuki (2026), ablation",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
