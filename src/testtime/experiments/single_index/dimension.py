"""The error depends on the hidden dimension r, not on the number of inputs d."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import INTERVAL, median_curves
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import (
    TaskBlocks,
    bench,
    draw_tasks,
    kernel_ridge,
    refined,
    three_stages,
)
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.single_index.pipeline import rows_needed
from testtime.single_index.pretrain import subspace_overlap

__all__ = ["FIGURE", "Config"]

METHODS = {
    "refined": "Three stages, refined subspace",
    "stages": "Three stages, one pretraining step",
    "no subspace": "Three stages, no subspace",
    "poly": "Kernel ridge, degree 4, all inputs",
}
SUCCESS = 0.95
"""Overlap of the direction above which a task counts as solved."""


@dataclass(frozen=True)
class Config(TaskBlocks):
    """One hidden dimension in more and more inputs.

    Attributes
    ----------
    dims
        Inputs d.
    n_rows
        Labelled rows N.
    prompts_per_input
        Prompts of the pretraining step, over d; ``n_prompts`` is the least.
    max_kernel_rows
        The kernel is run up to this many rows.
    n_refine
        Prompts solved exactly to refine the subspace of the pretraining step, in each of two rounds.
    seed
        Root seed.
    """

    dims: tuple[int, ...] = (8, 32, 128)
    n_rows: tuple[int, ...] = (32, 64, 96, 192, 384, 768)
    n_tasks: int = 30
    block: int = 15
    n_prompts: int = 8000
    prompts_per_input: int = 250
    max_kernel_rows: int = 768
    n_refine: int = 400
    seed: int = 20250926

    @classmethod
    def quick(cls) -> Config:
        """Return fewer sizes, tasks and prompts."""
        return cls(
            n_rows=(96, 384),
            n_tasks=12,
            block=12,
            n_prompts=2000,
            prompts_per_input=100,
            max_kernel_rows=96,
            n_refine=100,
        )

    def prompts(self, dim: int) -> int:
        """Return the prompts of the pretraining step in `dim` inputs."""
        return max(self.n_prompts, self.prompts_per_input * dim)


def cells(config: Config) -> list[Cell]:
    """One cell for each d: its pretraining is done once."""
    return [{"id": f"d={dim}", "dim": dim} for dim in config.dims]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Fit the three stages with and without the pretrained subspace, and a kernel on all inputs."""
    dim = cell["dim"]
    n_prompts = config.prompts(dim)
    setup = bench(dim, config.rank, seed=config.seed, n_prompts=n_prompts)
    refine_seed, tasks_seed = seed.spawn(2)
    sharp = refined(setup, config.n_refine, refine_seed)
    rows = []
    for name, found in (("stages", setup), ("refined", sharp)):
        missed = 1.0 - subspace_overlap(found.pretrained.subspace, found.family.subspace)
        rows.append({"kind": "subspace", "method": name, "d": dim, "missed": missed, "n_prompts": n_prompts})
    for n, child in zip(config.n_rows, tasks_seed.spawn(len(config.n_rows)), strict=True):
        for block in child.spawn(len(config.blocks)):
            drawn = draw_tasks(setup.family, config.block, n, block)
            fits = {
                "refined": three_stages(drawn, subspace=sharp.pretrained.subspace),
                "stages": three_stages(drawn, subspace=setup.pretrained.subspace),
            }
            if n >= rows_needed(dim, 1, 5):  # fewer rows do not outnumber the parameters, and are refused
                fits["no subspace"] = three_stages(drawn)
            if n <= config.max_kernel_rows:
                fits["poly"] = [kernel_ridge(X, y, "poly") for X, y in zip(drawn.X, drawn.y, strict=True)]
            rows += drawn.score_each(fits, kind="task", d=dim, n_rows=n)
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """With the subspace known, d does not matter; without it and for a kernel on all inputs it does."""
    tasks = table[table["kind"] == "task"]
    few, most = 96, config.n_rows[-1]
    small, middle, large = config.dims
    mse = tasks.groupby(["method", "n_rows", "d"])["mse"].median()
    success = (tasks["overlap"] > SUCCESS).groupby([tasks["method"], tasks["n_rows"], tasks["d"]]).mean()
    missed = table[table["kind"] == "subspace"].set_index(["method", "d"])["missed"]
    return [
        at_most(
            f"refined subspace: 1 - overlap with the true one at every d up to {large} (largest)",
            missed["refined"].max(),
            0.005,
        ),
        at_least(
            f"refined subspace, N = {few}: the direction is found (overlap > {SUCCESS:g}) in 95% of tasks at every d",
            success["refined"][few].min(),
            0.95,
        ),
        at_most(
            f"refined subspace, N = {few}: squared error at d = {large} over that at d = {small}",
            mse["refined"][few][large] / mse["refined"][few][small],
            2.0,
        ),
        at_most(
            f"refined subspace, N = {most}: largest over smallest squared error over d",
            mse["refined"][most].max() / mse["refined"][most].min(),
            4.0,
        ),
        at_least(
            f"no subspace, N = {few}: squared error at d = {middle} over that at d = {small}",
            mse["no subspace"][few][middle] / mse["no subspace"][few][small],
            20.0,
        ),
        at_most(
            f"no subspace, N = {few}: share of tasks with the direction found at d = {middle}",
            success["no subspace"][few][middle],
            0.5,
        ),
        at_most(
            f"no subspace, N = 384: share of tasks with the direction found at d = {large}",
            success["no subspace"][384][large],
            0.2,
        ),
        at_least(
            f"N = 384, d = {large}: squared error without the subspace over that with it",
            mse["no subspace"][384][large] / mse["refined"][384][large],
            50.0,
        ),
        at_least(
            f"degree-4 kernel, N = {few}, d = {large}: squared error over that of the three stages",
            mse["poly"][few][large] / mse["refined"][few][large],
            10.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against rows, one colour per d and one panel per method."""
    figure, panels = plots.new_figure(4, width=14)
    shades = plots.ordered_colours(len(config.dims))
    tasks = table[table["kind"] == "task"]
    names = {float(dim): f"{dim}" for dim in config.dims}
    for axes, (method, title) in zip(panels, METHODS.items(), strict=True):
        rows = tasks[tasks["method"] == method]
        median_curves(axes, rows.assign(d=rows["d"].astype(float)), "n_rows", "d", names, shades)
        plots.log_axis(axes, "x", [n for n in config.n_rows if n != 64])
        plots.log_axis(axes, "y", [1e-4, 1e-3, 0.01, 0.1, 1.0])
        axes.set_xlim(0.85 * config.n_rows[0], 1.18 * config.n_rows[-1])
        axes.set_ylim(1e-4, 3.0)
        plots.name_axes(axes, x="labelled rows, N", title=title)
    panels[0].set_ylabel("squared error to the noise-free function")
    plots.parameter_legend(panels[0], "inputs, d", list(names.values()), shades, loc="upper right")
    text = f"experiment: median over {config.n_tasks} fresh tasks, hidden dimension r = {config.rank}"
    plots.explain(figure, [("measured", text + f"; squared errors winsorised at 9; {INTERVAL}")])
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
