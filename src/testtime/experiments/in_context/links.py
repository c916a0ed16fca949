"""Links that vary from task to task: in-context learning levels off, test-time training goes on."""

from __future__ import annotations

from dataclasses import dataclass

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

TITLES = {
    "varying": "link as in pretraining",
    "He2": "link never seen: h2",
    "large c": "c = 1.5, beyond pretraining",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """One model, three kinds of test links, several numbers of rows.

    Attributes
    ----------
    recipe
        Name of the pretrained model.
    varying, shifted
        Numbers of rows N with links as in pretraining, and with others.
    shift_gain
        How many times lower the error at h2 and N = 256 is claimed to be after training.
    seed
        Root seed.
    """

    recipe: str = "gpt2-links"
    varying: tuple[int, ...] = (64, 128, 256, 512, 1024)
    shifted: tuple[int, ...] = (64, 256, 1024)
    shift_gain: float = 40.0
    seed: int = 20260301

    @classmethod
    def quick(cls) -> Config:
        """Return fewer tasks, sizes and steps; too few steps to win where the link is known."""
        how = Adaptation(n_steps=120, learning_rate=3e-3, n_query=32)
        return cls(varying=(64, 256), shifted=(256,), n_tasks=4, block=4, how=how, shift_gain=10.0)

    def sizes(self, link: str) -> tuple[int, ...]:
        """Numbers of rows of one kind of links."""
        return self.varying if link == "varying" else self.shifted


def cells(config: Config) -> list[Cell]:
    """One cell for each link, N and block of tasks; in a block the longest prompts first."""
    listed = [
        cell
        for link in TITLES
        for n in config.sizes(link)
        for cell in blocks(config.recipe, config.n_tasks, config.block, link=link, n_rows=n)
    ]
    return first_blocks_first(sorted(listed, key=lambda cell: -cell["n_rows"]))


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Measure every method on the tasks of a block."""
    return task_rows(config.recipe, cell["link"], config.block, cell["n_rows"], config.how, seed)


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """In distribution training wins for many rows and the guard protects few; under a shift it wins everywhere."""
    mse, _ = mean_errors(table, ["link", "n_rows"])
    few, many = config.varying[0], config.varying[-1]
    known = mse.loc["varying"]
    said = []
    for n in [size for size in config.varying if size >= 512]:
        factor = 3.0 if n >= 1024 else 1.0
        ratio = known["icl full"][n] / known["ttt"][n]
        what = "below" if factor == 1.0 else f"{factor:g} times below"
        said.append(
            at_least(f"known links, N = {n}: test-time training {what} in-context learning", ratio, factor)
        )
    said += [
        at_most(
            f"known links, N = {few}: guarded at most 1.05 of in-context learning",
            known["guarded"][few] / known["icl full"][few],
            1.05,
        ),
        at_most(
            "everywhere: guarded at most 1.05 of in-context learning",
            (mse["guarded"] / mse["icl full"]).max(),
            1.05,
        ),
        at_least(
            f"h2, N = 256: test-time training at least {config.shift_gain:g} times below in-context learning",
            mse["icl full"]["He2", 256] / mse["ttt"]["He2", 256],
            config.shift_gain,
        ),
        at_least(
            "c = 1.5: test-time training below in-context learning at every N",
            (mse.loc["large c"]["icl full"] / mse.loc["large c"]["ttt"]).min(),
            1.0,
        ),
        at_most(
            f"known links: in-context learning from 64 rows no better at N = {many} than .7 of N = {few}",
            0.7 * known["icl short"][few] / known["icl short"][many],
            1.0,
        ),
    ]
    return said


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against rows, one panel per kind of links."""
    figure, panels = plots.new_figure(3, width=12)
    for axes, (link, title) in zip(panels, TITLES.items(), strict=True):
        draw_errors(axes, table[table["link"] == link], title, list(config.sizes(link)))
    panels[0].set_ylabel("squared error to the noise-free function")
    panels[0].legend(loc="lower left")
    text = f"experiment: mean ± 2 standard errors over {config.n_tasks} fresh tasks; squared errors winsorised at 9"
    plots.explain(figure, [("measured", text)])
    return figure


FIGURE = Figure(
    name="gpt2-links",
    title="A GPT-2 on links that vary: in context, and trained at test time",
    source="Kuwataka and Suzuki (2026), experiments",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
