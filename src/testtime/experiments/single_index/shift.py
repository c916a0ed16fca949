"""Test tasks whose direction leaves the subspace of pretraining."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import INTERVAL, median_curves, medians
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import TaskBlocks, bench, draw_tasks, three_stages
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell

__all__ = ["FIGURE", "Config"]

METHODS = {
    "polish": "pretrained subspace, with polish (default)",
    "no polish": "pretrained subspace, without polish",
    "no subspace": "no subspace",
}


@dataclass(frozen=True)
class Config(TaskBlocks):
    """One angle between the test direction and the subspace after another, at one number of rows.

    Attributes
    ----------
    dim
        Inputs d.
    degrees
        Angles in degrees.
    n_rows
        Labelled rows N.
    seed
        Root seed.
    """

    dim: int = 16
    degrees: tuple[int, ...] = (0, 5, 10, 20, 30, 45, 60, 75, 90)
    n_rows: int = 512
    seed: int = 20250929

    @classmethod
    def quick(cls) -> Config:
        """Return fewer angles and tasks."""
        return cls(degrees=(0, 10, 30, 60, 90), n_tasks=16, n_prompts=2000)


def cells(config: Config) -> list[Cell]:
    """One cell for each block of tasks: its tasks are the same inside the subspace at every angle."""
    return [{"id": f"block={block}"} for block in config.blocks]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Fit with and without polish, and without the subspace, to the same tasks at every angle."""
    setup = bench(config.dim, config.rank, seed=config.seed, n_prompts=config.n_prompts)
    subspace = setup.pretrained.subspace
    rows = []
    for degrees in config.degrees:
        again = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)  # spawning counts up
        drawn = draw_tasks(setup.family, config.block, config.n_rows, again, angle=radians(degrees))
        fits = {
            "polish": three_stages(drawn, subspace=subspace),
            "no polish": three_stages(drawn, subspace=subspace, polish=False),
            "no subspace": three_stages(drawn),
        }
        rows += drawn.score_each(fits, degrees=degrees)
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Without polish the overlap cannot exceed the cosine; the polish removes this bound."""
    overlap, mse = medians(table, "degrees", "method", "overlap"), medians(table, "degrees", "method")
    cosine = np.cos(np.radians(overlap.index.to_numpy()))
    return [
        at_most(
            "without polish the overlap exceeds the cosine of the angle by at most 0.06 (subspace error)",
            (overlap["no polish"] - cosine).max(),
            0.06,
        ),
        at_most(
            "without polish the overlap falls short of the cosine by at most 0.1 up to 30 degrees",
            (cosine - overlap["no polish"])[overlap.index <= 30].max(),
            0.1,
        ),
        at_least("with polish the overlap at 30 degrees is 0.99 or more", overlap["polish"][30], 0.99),
        at_least(
            "at 30 degrees the polish lowers the squared error by a factor 20 or more",
            mse["no polish"][30] / mse["polish"][30],
            20.0,
        ),
        at_least(
            "at 90 degrees the subspace misleads: the error is at least 10 times that without a subspace",
            mse["polish"][90] / mse["no subspace"][90],
            10.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw overlap and squared error against the angle."""
    figure, (left, right) = plots.new_figure(2, height=4.8)
    angles = np.linspace(0, 90, 200)
    plots.draw_exact(left, angles, np.cos(np.radians(angles)), colour="#374151")
    for axes, values in ((left, "overlap"), (right, "mse")):
        median_curves(axes, table, "degrees", "method", METHODS, plots.colours(3), values)
    for axes in (left, right):
        axes.set_xticks(range(0, 91, 15))
    left.set_ylim(-0.02, 1.04)
    plots.log_axis(right, "y", [1e-4, 1e-3, 0.01, 0.1, 1.0])
    label = "angle between direction and subspace, degrees"
    plots.name_axes(left, x=label, y="overlap with the true direction", title="Direction")
    plots.name_axes(right, x=label, y="squared error to the noise-free function", title="Prediction")
    left.legend(loc="lower left")
    size = f"N = {config.n_rows}, r = {config.rank} of d = {config.dim}"
    text = (
        f"experiment: median over {config.n_tasks} tasks, {size}; squared errors winsorised at 9; {INTERVAL}"
    )
    plots.explain(
        figure,
        [("exact", "theory: cos(angle), the largest overlap inside the subspace"), ("measured", text)],
    )
    return figure


FIGURE = Figure(
    name="single-index-shift",
    title="Directions that leave the subspace of pretraining",
    source="extension of Kuwataka and Suzuki (2026)",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
