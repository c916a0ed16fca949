"""Error against labelled rows: test-time training, the frozen transformer, kernels and two oracles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import INTERVAL, median_curves, medians
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import (
    TaskBlocks,
    bench,
    draw_tasks,
    fit_in_context,
    kernel_ridge,
    oracle,
    ridge,
    three_stages,
)
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell

__all__ = ["FIGURE", "Config"]

METHODS = {
    "stages": "three stages (default)",
    "stages, SGD and ReLU": "three stages, SGD and ReLU ridge",
    "in context": "frozen transformer, in context",
    "ridge": "linear ridge",
    "rbf": "kernel ridge, Gaussian",
    "poly": "kernel ridge, degree 4",
    "poly, true subspace": "kernel ridge, degree 4, true subspace",
    "oracle direction": "read-out on the true direction",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """Cubic-quartic links that vary over tasks, in an r-dimensional subspace of d dimensions.

    Attributes
    ----------
    dim
        Inputs d.
    n_rows
        Labelled rows N.
    max_kernel_rows
        Kernels are run up to this many rows.
    n_context_tasks
        Tasks on which the read-out of the frozen transformer is fitted.
    noise
        Size of the two-point noise.
    seed
        Root seed.
    """

    dim: int = 8
    n_rows: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048, 4096)
    max_kernel_rows: int = 1024
    n_tasks: int = 32
    block: int = 8
    n_context_tasks: int = 400
    noise: float = 0.1
    seed: int = 20250925

    @classmethod
    def quick(cls) -> Config:
        """Return fewer sizes, tasks and prompts."""
        return cls(
            n_rows=(64, 128, 256),
            max_kernel_rows=256,
            n_tasks=10,
            block=10,
            n_prompts=2000,
            n_context_tasks=200,
        )


def cells(config: Config) -> list[Cell]:
    """One cell for each N and block of tasks."""
    return [{"id": f"N={n} block={block}", "n_rows": n} for n in config.n_rows for block in config.blocks]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Fit every method to the same rows of each task, and measure it on fresh rows."""
    setup = bench(config.dim, config.rank, seed=config.seed, n_prompts=config.n_prompts, noise=config.noise)
    n, subspace = cell["n_rows"], setup.pretrained.subspace
    readout_seed, tasks_seed = seed.spawn(2)
    frozen = fit_in_context(setup, n, n_tasks=config.n_context_tasks, seed=readout_seed)
    drawn = draw_tasks(setup.family, config.block, n, tasks_seed)
    contexts = list(zip(drawn.tasks, drawn.X, drawn.y, strict=True))
    predictors = {
        "stages": three_stages(drawn, subspace=subspace),
        "stages, SGD and ReLU": three_stages(drawn, subspace=subspace, strong="sgd", readout="relu"),
        "in context": [partial(frozen.predict, X, y) for _, X, y in contexts],
        "ridge": [ridge(X, y) for _, X, y in contexts],
        "oracle direction": [oracle(X, y, task.direction) for task, X, y in contexts],
    }
    if n <= config.max_kernel_rows:
        predictors["rbf"] = [kernel_ridge(X, y, "rbf") for _, X, y in contexts]
        predictors["poly"] = [kernel_ridge(X, y, "poly") for _, X, y in contexts]
        inside = [kernel_ridge(X, y, "poly", setup.family.subspace) for _, X, y in contexts]
        predictors["poly, true subspace"] = inside
    return drawn.score_each(predictors, n_rows=n)


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Test-time training reaches the noise-free function; one attention layer and linear ridge do not."""
    mse = medians(table, "n_rows", "method")
    few, kernels, most = config.n_rows[0], config.max_kernel_rows, config.n_rows[-1]
    others = ["in context", "ridge", "rbf", "poly", "poly, true subspace"]
    directed = table[table["method"] == "stages"]
    found = [
        at_most("three stages: squared error at N = 128", mse["stages"][128], 0.02),
        at_most(f"three stages: squared error at N = {kernels}", mse["stages"][kernels], 0.010),
        at_most(
            f"three stages: squared error at N = {most}, as a share of the power of the noise",
            mse["stages"][most] / config.noise**2,
            0.01 if most >= 4096 else 0.6,
        ),
        at_most(
            "three stages: at every N at most 4 times the error of a read-out on the true direction (largest ratio)",
            (mse["stages"] / mse["oracle direction"]).max(),
            4.0,
        ),
        at_least(
            "three stages, N >= 128: the direction is found (overlap > .95) in 95% of tasks",
            (directed[directed["n_rows"] >= 128]["overlap"] > 0.95).mean(),
            0.95,
        ),
        at_least(
            f"one attention layer stays on a plateau: an error of 0.25 or more at N = {most}",
            mse["in context"][most],
            0.25,
        ),
        at_least(
            "at every N up to the last with kernels, the best other method has at least 1.5 times the error",
            (mse.loc[few:kernels, others].min(axis="columns") / mse.loc[few:kernels, "stages"]).min(),
            1.5,
        ),
    ]
    if kernels >= 1024:
        ratio = mse["stages, SGD and ReLU"][kernels] / mse["poly, true subspace"][kernels]
        text = f"with SGD and a ReLU ridge, the kernel on the true subspace wins at N = {kernels} (ratio)"
        found.append(at_least(text, ratio, 1.5))
    return found


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the squared error, and how far the direction is from the true one, against labelled rows."""
    figure, (left, right) = plots.new_figure(2, width=11.5)
    shades = (*plots.colours(7), plots.GREY)
    median_curves(left, table, "n_rows", "method", METHODS, shades)
    directed = table.assign(missed=1.0 - table["overlap"]).dropna(subset=["missed"])
    median_curves(right, directed, "n_rows", "method", METHODS, shades, "missed")
    for axes in (left, right):
        plots.log_axis(axes, "x", [n for n in config.n_rows if n != 2048])
    plots.log_axis(left, "y", [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0])
    plots.log_axis(right, "y", [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0])
    plots.level(left, config.noise**2)
    plots.name_axes(
        left,
        x="labelled rows, N",
        y="squared error to the noise-free function",
        title=f"Links h₃ + c h₄, r = {config.rank} of d = {config.dim}",
    )
    plots.name_axes(
        right,
        x="labelled rows, N",
        y="1 − overlap with the true direction",
        title="Direction; polished, both are alike",
    )
    figure.legend(*left.get_legend_handles_labels(), loc="outside right upper")
    text = f"experiment: median over {config.n_tasks} fresh tasks; squared errors winsorised at 9; {INTERVAL}"
    plots.explain(
        figure,
        [("measured", text), ("reference", f"power of the noise, τ² = {config.noise**2:g}")],
    )
    return figure


FIGURE = Figure(
    name="single-index-context",
    title="Nonlinear test-time training against labelled rows",
    source="Kuwataka and Suzuki (2026), experiment on varying links",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
