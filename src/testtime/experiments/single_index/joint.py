"""Direction and read-out trained together or one after the other, from the same start."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import INTERVAL, median_curves, medians, shares
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import TaskBlocks, draw_tasks, three_stages
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.single_index.joint import Trained, joint_training, split_training
from testtime.single_index.weak_recovery import weak_recovery
from testtime.tasks.single_index import SingleIndexFamily

__all__ = ["FIGURE", "Config"]

METHODS = {
    "joint": "together: Adam on direction and read-out",
    "split": "one after the other: Gauss-Newton, then ridge",
    "default": "default: several starts, read-out of either kind",
    "start": "read-out along the start of stage I",
}
SUCCESS = 0.95


@dataclass(frozen=True)
class Config(TaskBlocks):
    """Tasks in r = d dimensions, as after the projection on the pretrained subspace.

    Attributes
    ----------
    n_rows
        Labelled rows N.
    n_steps
        Adam steps of the joint training.
    seed
        Root seed.
    """

    n_rows: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    n_tasks: int = 30
    block: int = 10
    n_steps: int = 600
    seed: int = 20251002

    @classmethod
    def quick(cls) -> Config:
        """Return fewer sizes and tasks."""
        return cls(n_rows=(64, 256), n_tasks=14, block=14)


def cells(config: Config) -> list[Cell]:
    """One cell for each N and block of tasks."""
    return [{"id": f"N={n} block={block}", "n_rows": n} for n in config.n_rows for block in config.blocks]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Take one distilled step per task, and go on from it in each way."""
    family_seed = np.random.SeedSequence(config.seed)
    family = SingleIndexFamily.create(config.rank, config.rank, seed=family_seed)
    tasks_seed, start_seed = seed.spawn(2)
    drawn = draw_tasks(family, config.block, cell["n_rows"], tasks_seed)
    found: dict[str, list] = {name: [] for name in METHODS}
    for X, y, child in zip(drawn.X, drawn.y, start_seed.spawn(config.block), strict=True):
        mean, scale = y.mean(), y.std()
        labels = (y - mean) / scale
        rng = np.random.default_rng(child)
        start = weak_recovery(X, labels, 0.35 * np.eye(config.rank), kind="distill", rng=rng).direction
        ways = {
            "joint": joint_training(X, labels, start, n_steps=config.n_steps),
            "split": split_training(X, labels, start),
            "start": split_training(X, labels, start, n_steps=0),
        }
        for name, trained in ways.items():
            found[name].append(_Scaled(trained, mean, scale).predict)
    found["default"] = three_stages(drawn)
    return drawn.score_each(found, n_rows=cell["n_rows"])


@dataclass(frozen=True, eq=False)
class _Scaled:
    """A trained model in the units of the labels."""

    trained: Trained
    mean: float
    scale: float

    @property
    def directions_(self) -> np.ndarray:
        return self.trained.direction[None]

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.mean + self.scale * self.trained.predict(X)


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Both ways end at the same error once rows suffice; several starts are what helps with few."""
    mse = medians(table, "n_rows", "method")
    success = (table["overlap"] > SUCCESS).groupby([table["method"], table["n_rows"]]).mean()
    few, enough = 64, 256
    return [
        at_least(
            f"together, N = {enough}: share of tasks with the direction found (overlap > {SUCCESS:g})",
            success["joint"][enough],
            0.85,
        ),
        at_most(
            f"N = {enough}: squared error of training together over that of one after the other",
            mse["joint"][enough] / mse["split"][enough],
            2.0,
        ),
        at_least("and not less than half of it (ratio)", mse["joint"][enough] / mse["split"][enough], 0.5),
        at_least(
            f"N = {enough}: the read-out along the start has at least 20 times the error of training together",
            mse["start"][enough] / mse["joint"][enough],
            20.0,
        ),
        at_least(
            f"N = {few}: several starts find the direction in 90% of tasks",
            success["default"][few],
            0.9,
        ),
        at_least(
            f"N = {few}: training together has at least twice the error of the default",
            mse["joint"][few] / mse["default"][few],
            2.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw squared error and the share of directions found against the number of rows."""
    figure, (left, right) = plots.new_figure(2, width=10.5, height=5.2)
    shades = (*plots.colours(3), plots.GREY)
    median_curves(left, table, "n_rows", "method", METHODS, shades)
    shares(right, table["overlap"] > SUCCESS, [table["n_rows"], table["method"]], METHODS, shades)
    for axes in (left, right):
        plots.log_axis(axes, "x", config.n_rows)
    plots.log_axis(left, "y", [1e-4, 1e-3, 0.01, 0.1, 1.0])
    right.set_ylim(-0.03, 1.03)
    plots.name_axes(
        left,
        x="labelled rows, N",
        y="squared error to the noise-free function",
        title=f"Links h₃ + c h₄, r = {config.rank}",
    )
    plots.name_axes(
        right,
        x="labelled rows, N",
        y=f"share of tasks with overlap above {SUCCESS:g}",
        title="Direction found",
    )
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    text = (
        f"experiment: left, median over {config.n_tasks} tasks, squared errors winsorised at 9; {INTERVAL}; "
    )
    plots.explain(figure, [("measured", text + "right, share ± 2 standard errors")])
    return figure


FIGURE = Figure(
    name="single-index-joint",
    title="Direction and read-out trained together, or one after the other",
    source="question left open by Kuwataka and Suzuki (2026)",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
