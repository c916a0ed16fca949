"""The error depends on the hidden dimension r, not on the number of inputs d."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import (
    TaskBlocks,
    bench,
    draw_tasks,
    kernel_ridge,
    three_stages,
)
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell

__all__ = ["FIGURE", "Config"]

METHODS = {
    "refined": "Three stages, refined subspace",
    "stages": "Three stages, one pretraining step",
    "no subspace": "Three stages, no subspace",
    "poly": "Kernel ridge, degree 4",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """One hidden dimension in more and more inputs.

    Attributes
    ----------
    dims
        Inputs d.
    n_rows
        Labelled rows N.
    max_kernel_rows
        The kernel is run up to this many rows.
    n_refine
        Prompts solved exactly to refine the subspace of the pretraining step.
    seed
        Root seed.
    """

    dims: tuple[int, ...] = (4, 8, 16, 32)
    n_rows: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    max_kernel_rows: int = 1024
    n_refine: int = 200
    seed: int = 20250926

    @classmethod
    def quick(cls) -> Config:
        """Return three dimensions and fewer sizes and tasks."""
        return cls(
            dims=(4, 8, 16),
            n_rows=(64, 256, 1024),
            max_kernel_rows=256,
            n_tasks=16,
            block=16,
            n_prompts=2000,
            n_refine=100,
        )


def cells(config: Config) -> list[Cell]:
    """One cell for each d, N and block of tasks."""
    return [
        {"id": f"d={dim} N={n} block={block}", "dim": dim, "n_rows": n}
        for dim in config.dims
        for n in config.n_rows
        for block in config.blocks
    ]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Fit the three stages with and without the pretrained subspace, and a kernel on all inputs."""
    dim, n = cell["dim"], cell["n_rows"]
    setup = bench(dim, config.rank, seed=config.seed, n_prompts=config.n_prompts)
    refined = bench(dim, config.rank, seed=config.seed, n_prompts=config.n_prompts, n_refine=config.n_refine)
    drawn = draw_tasks(setup.family, config.block, n, seed)
    rows = drawn.score("refined", three_stages(drawn, subspace=refined.pretrained.subspace), d=dim, n_rows=n)
    rows += drawn.score("stages", three_stages(drawn, subspace=setup.pretrained.subspace), d=dim, n_rows=n)
    if n >= 2 * dim:
        rows += drawn.score("no subspace", three_stages(drawn), d=dim, n_rows=n)
    if n <= config.max_kernel_rows:
        kernels = [kernel_ridge(X, y, "poly") for X, y in zip(drawn.X, drawn.y, strict=True)]
        rows += drawn.score("poly", kernels, d=dim, n_rows=n)
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """With the subspace known, d does not matter; a kernel on all inputs is lost."""
    most, few, kernels = config.n_rows[-1], 64, config.max_kernel_rows
    mse = table.groupby(["method", "n_rows", "d"])["mse"].median()
    l1 = table.groupby(["method", "n_rows", "d"])["l1"].median()["stages"][most]
    refined, stages = mse["refined"][most], mse["stages"]
    largest = config.dims[-1]
    found = table[(table["method"] == "stages") & (table["n_rows"] >= 128)]
    success = (found["overlap"] > 0.95).groupby(found["d"]).mean()
    return [
        at_most(f"three stages, N = {most}: largest squared error over d", stages[most].max(), 0.010),
        at_most(
            f"refined subspace, N = {most}: largest over smallest squared error over d",
            refined.max() / refined.min(),
            1.5 if config.n_tasks >= 40 else 2.2,
        ),
        at_most(
            f"one pretraining step, N = {most}: mean absolute errors at all d within 1% of each other",
            l1.max() / l1.min() - 1,
            0.01,
        ),
        at_least(
            "one pretraining step, N >= 128: the direction is found (overlap > .95) in 95% of tasks at every d",
            success.min(),
            0.95,
        ),
        at_least(
            f"N = {few}, d = {largest}: the refined subspace lowers the squared error of no subspace "
            "by a factor 2",
            mse["no subspace"][few][largest] / mse["refined"][few][largest],
            2.0,
        ),
        at_least(
            f"degree-4 kernel, N = {kernels}: the squared error at d = 16 is at least 3 times that at d = 4",
            mse["poly"][kernels][16] / mse["poly"][kernels][4],
            3.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against rows, one colour per d and one panel per method."""
    figure, panels = plots.new_figure(4, width=14)
    shades = plots.ordered_colours(len(config.dims))
    for axes, (method, title) in zip(panels, METHODS.items(), strict=True):
        rows = table[table["method"] == method]
        for dim, colour, marker in zip(config.dims, shades, plots.MARKERS[: len(shades)], strict=True):
            curve = rows[rows["d"] == dim].groupby("n_rows")["mse"].median()
            plots.draw_measured(axes, curve.index, curve, colour=colour, marker=marker, join=True)
        plots.log_axis(axes, "x", [n for n in config.n_rows if n != 32])
        plots.log_axis(axes, "y", [1e-4, 1e-3, 0.01, 0.1, 1.0])
        axes.set_ylim(5e-5, 2.0)
        plots.name_axes(axes, x="labelled rows, N", title=title)
    panels[0].set_ylabel("squared error to the noise-free function")
    labels = [f"{dim}" for dim in config.dims]
    plots.parameter_legend(panels[0], "inputs, d", labels, shades, loc="upper right")
    text = f"experiment: median over {config.n_tasks} fresh tasks, hidden dimension r = {config.rank}"
    plots.explain(figure, [("measured", text + "; squared errors winsorised at 9")])
    return figure


FIGURE = Figure(
    name="single-index-dimension",
    title="The cost of adaptation follows the hidden dimension",
    source="Kuwataka and Suzuki (2026), main theorem",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
