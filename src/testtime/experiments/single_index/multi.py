"""Functions of two directions: recover both, and fit on their plane."""

from __future__ import annotations

from dataclasses import dataclass

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
    kernel_ridge,
    three_stages,
)
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell

__all__ = ["FIGURE", "Config"]

FAMILIES = {
    "sum": ("varying", "Sum: (s₁(z₁) + s₂(z₂))/√2, s = h₃ + c h₄"),
    "product": ("low", "Product: s(z₁) s(z₂), s = 0.8 h₁ + 0.6 h₂"),
}
METHODS = {
    "two directions": "three stages, two directions",
    "one direction": "three stages, one direction",
    "poly": "kernel ridge, degree 4",
    "poly, true subspace": "kernel ridge, degree 4, true subspace",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """Two orthogonal directions in an r-dimensional subspace, in a sum and in a product.

    Attributes
    ----------
    dim
        Inputs d.
    n_rows
        Labelled rows N.
    seed
        Root seed.
    """

    dim: int = 8
    n_rows: tuple[int, ...] = (64, 128, 256, 512, 1024)
    n_tasks: int = 32
    seed: int = 20250930

    @classmethod
    def quick(cls) -> Config:
        """Return fewer sizes and tasks."""
        return cls(n_rows=(128, 512), n_tasks=10, block=10, n_prompts=2000)


def cells(config: Config) -> list[Cell]:
    """One cell for each combination, N and block of tasks."""
    return family_cells(config, "combine", FAMILIES, config.n_rows)


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Fit two directions, one direction, and kernels to the same rows."""
    combine, n = cell["combine"], cell["n_rows"]
    setup = bench(
        config.dim,
        config.rank,
        seed=config.seed,
        n_prompts=config.n_prompts,
        link=FAMILIES[combine][0],
        n_directions=2,
        combine=combine,
    )
    drawn = draw_tasks(setup.family, config.block, n, seed)
    contexts = list(zip(drawn.X, drawn.y, strict=True))
    subspace = setup.pretrained.subspace
    predictors = {
        "two directions": three_stages(drawn, subspace=subspace, n_directions=2),
        "one direction": three_stages(drawn, subspace=subspace),
        "poly": [kernel_ridge(X, y, "poly") for X, y in contexts],
        "poly, true subspace": [kernel_ridge(X, y, "poly", setup.family.subspace) for X, y in contexts],
    }
    where = {"combine": combine, "n_rows": n}
    return drawn.score_each(predictors, **where)


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Both directions are recovered; one direction is not enough; the plane beats kernels."""
    most = config.n_rows[-1]
    found = []
    for combine in FAMILIES:
        rows = table[table["combine"] == combine]
        mse = medians(rows, "n_rows", "method")
        plane = rows[(rows["method"] == "two directions") & (rows["n_rows"] == most)]["overlap"]
        found += [
            at_least(
                f"{combine}, N = {most}: the plane is found (overlap > .95) in 90% of tasks",
                (plane > 0.95).mean(),
                0.9,
            ),
            at_most(
                f"{combine}, N = {most}: squared error with two directions", mse["two directions"][most], 0.05
            ),
            at_least(
                f"{combine}, N = {most}: one direction has at least 5 times the error of two",
                mse["one direction"][most] / mse["two directions"][most],
                5.0,
            ),
            at_least(
                f"{combine}, N = {most}: the kernel on all inputs has at least twice that error (ratio)",
                mse["poly"][most] / mse["two directions"][most],
                2.0,
            ),
        ]
    return found


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against N for the sum and for the product."""
    figure, panels = plots.new_figure(2, height=4.8)
    shown = [
        (axes, table[table["combine"] == combine], title)
        for axes, (combine, (_, title)) in zip(panels, FAMILIES.items(), strict=True)
    ]
    error_panels(shown, METHODS, config.n_rows, [1e-4, 1e-3, 0.01, 0.1, 1.0], bottom=8e-5)
    text = f"experiment: median over {config.n_tasks} fresh tasks, r = {config.rank} of d = {config.dim}"
    plots.explain(figure, [("measured", text + f"; squared errors winsorised at 9; {INTERVAL}")])
    return figure


FIGURE = Figure(
    name="single-index-multi",
    title="Two directions at once",
    source="extension of Kuwataka and Suzuki (2026)",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
