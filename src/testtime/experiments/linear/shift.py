"""One step against a longer context as the test task leaves the tasks of pretraining: where each wins, by how much."""

from __future__ import annotations

from dataclasses import dataclass, replace

import matplotlib.figure
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import draw_comparison, simulation_note
from testtime.experiments.figure import Figure
from testtime.experiments.linear.comparison import agreement, compared
from testtime.experiments.linear.simulation import Population, simulate_one_step
from testtime.experiments.linear.small import SMALL_DIM, small_agreement, small_rows
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.theory.linear import Setting, best_scaled_start, icl_risk, one_step, pretrained_weight

__all__ = ["FIGURE", "Config", "rotated_task"]

Array = NDArray[np.float64]

METHODS = {
    "longer": "in-context learning with n + k rows",
    "warm": "step from W*",
    "cold": "step from 0",
    "scaled": "step from c W*, best c",
}


@dataclass(frozen=True)
class Config:
    """White inputs; half of the directions carry nearly all of the variance of the pretraining tasks.

    Attributes
    ----------
    dim, context_ratio
        Inputs d, and n/d.
    train_ratios
        The k/d of the curves of the right panel; the last one is that of the left panel and is simulated.
    spread
        The variances of the pretraining tasks are ``1 + spread`` and ``1 - spread``, over d.
    angles
        The simulated angles, in degrees.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    seed
        Root seed.
    """

    dim: int = 100
    context_ratio: float = 2.0
    train_ratios: tuple[float, ...] = (1.0, 4.0, 16.0)
    spread: float = 0.98
    angles: tuple[float, ...] = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0)
    n_designs: int = 1000
    n_tasks: int = 16
    seed: int = 20250307

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension, fewer angles and fewer designs."""
        return cls(dim=40, angles=(0.0, 30.0, 60.0, 90.0), n_designs=500)


def rotated_task(dim: int, spread: float, degrees: float) -> tuple[Array, Array]:
    """Return the spectrum of the pretraining tasks (mean 1), and a test task of norm 1 rotated away from them.

    Every strong direction is paired with a weak one, and the covariance is rotated by the same angle in each pair:
    at 0 degrees the task is a typical one of pretraining, at 90 degrees strong and weak have changed places. The task
    has the mean squares of the rotated covariance.

    >>> spectrum, task = rotated_task(4, 0.98, 90.0)
    >>> spectrum, (4 * task**2).round(2)
    (array([1.98, 1.98, 0.02, 0.02]), array([0.02, 0.02, 1.98, 1.98]))
    """
    spectrum = np.where(np.arange(dim) < dim / 2, 1.0 + spread, 1.0 - spread)
    share = np.cos(np.radians(degrees)) ** 2
    squares = share * spectrum + (1.0 - share) * spectrum[::-1]
    return spectrum, np.sqrt(squares / squares.sum())


def cells(config: Config) -> list[Cell]:
    """One cell of theory, one in few dimensions, and one of simulation for each method and angle."""
    simulated = [
        {"id": f"simulation {method} {angle:g}", "method": method, "angle": angle}
        for method in METHODS
        for angle in config.angles
    ]
    return [{"id": "theory"}, {"id": "small"}, *simulated]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the exact curves, or the simulated point of one method and angle."""
    if cell["id"] == "theory":
        return _curves(config)
    if cell["id"] == "small":
        setting = _setting(replace(config, dim=SMALL_DIM, context_ratio=0.75), 30.0, 8.0)
        return small_rows(setting, setting.task, seed)
    setting = _setting(config, cell["angle"], max(config.train_ratios))
    if cell["method"] == "longer":
        setting = setting.replace(n_context=setting.n_context + setting.n_train, n_train=0)
    weight = pretrained_weight(setting)
    if cell["method"] == "scaled":
        weight = best_scaled_start(setting).scale * weight
    elif cell["method"] == "cold":
        weight = 0.0
    measured = simulate_one_step(
        Population(setting.task, np.ones(config.dim)),
        weight,
        setting.n_context,
        [setting.n_train],
        n_designs=config.n_designs,
        n_tasks=config.n_tasks,
        seed=seed,
    )[setting.n_train]
    where = {"kind": "simulated", "cell": cell["id"], "method": cell["method"], "angle": cell["angle"]}
    where["k_ratio"] = max(config.train_ratios)
    return [where | compared(measured, one_step(setting, weight))]


def _setting(config: Config, angle: float, train_ratio: float) -> Setting:
    spectrum, task = rotated_task(config.dim, config.spread, angle)
    n_context, n_train = round(config.context_ratio * config.dim), round(train_ratio * config.dim)
    return Setting(n_context, n_train, task_cov=spectrum / config.dim, task=task)


def _curves(config: Config) -> list[dict]:
    rows = []
    for ratio in config.train_ratios:
        for angle in np.linspace(0.0, 90.0, 46):
            setting = _setting(config, float(angle), ratio)
            step = best_scaled_start(setting)
            longer = icl_risk(setting.replace(n_context=setting.n_context + setting.n_train))
            risks = {"warm": step.warm_risk, "cold": step.cold_risk, "scaled": step.risk, "longer": longer}
            where = {"kind": "exact", "k_ratio": ratio, "angle": float(angle)}
            best = pretrained_weight(setting)
            for side in (0.99, 1.01):
                beside = one_step(setting, side * step.scale * best).best_risk
                rows.append(where | {"kind": "beside", "excess": beside / step.risk - 1.0})
            rows += [where | {"method": method, "risk": risk} for method, risk in risks.items()]
            rows.append(where | {"method": "now", "risk": icl_risk(setting)})
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Theory and simulation agree; the longer context wins without a shift, the step with one."""
    most = max(config.train_ratios)
    points = table[table["kind"] == "simulated"].pivot(index="angle", columns="method", values="risk")
    exact = table[table["kind"] == "exact"]
    curves = exact[exact["k_ratio"] == most].pivot(index="angle", columns="method", values="risk")
    wins = curves.index[curves["scaled"] < curves["longer"]]
    ratios = points["longer"] / points["scaled"]
    return [
        *agreement(table),
        *small_agreement(table),
        at_least(
            f"simulated: at 90 degrees and k = {most:g} d the step beats n + k context rows by a factor of 4",
            ratios.get(90.0, np.nan),
            4.0,
        ),
        at_most(
            "simulated: at 0 degrees it loses to them, with a risk 1.6 times as high or more (ratio)",
            ratios.get(0.0, np.nan),
            1 / 1.6,
        ),
        at_most("the step begins to win before 25 degrees", wins.min() if len(wins) else np.nan, 25.0),
        at_least("and not before 5", wins.min() if len(wins) else np.nan, 5.0),
        at_most(
            "from zero the angle makes no difference (largest share)",
            np.ptp(curves["cold"]) / curves["cold"].min(),
            1e-9,
        ),
        at_least(
            "in-context learning suffers most: at 90 degrees its risk is 10 times that at 0 (ratio)",
            curves["longer"].iloc[-1] / curves["longer"].iloc[0],
            10.0,
        ),
        at_least(
            "from a start 1% off the best scale the risk is higher, to either side (smallest excess)",
            table[table["kind"] == "beside"]["excess"].min(),
            1e-12,
        ),
        at_most(
            "the scaled start is never worse than W* or zero (largest ratio)",
            (curves["scaled"] / curves[["warm", "cold"]].min(axis=1)).max(),
            1.0 + 1e-9,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the risks against the angle, and how many times lower the step's risk is."""
    figure, (left, right) = plots.new_figure(2, height=4.9)
    most, exact = max(config.train_ratios), table[table["kind"] == "exact"]
    shades = plots.colours(len(METHODS))
    for method, colour, marker in zip(METHODS, shades, plots.MARKERS, strict=False):
        rows = table[(table["method"] == method) & (table["k_ratio"] == most)]
        draw_comparison(left, rows, "angle", colour=colour, marker=marker)
    now = exact[(exact["method"] == "now") & (exact["k_ratio"] == most)]
    plots.draw_reference(left, now["angle"], now["risk"])
    plots.log_axis(left, "y", [0.03, 0.1, 0.3, 1.0])
    plots.parameter_legend(left, "", list(METHODS.values()), shades, loc="lower right")
    n_context, n_train = (round(ratio * config.dim) for ratio in (config.context_ratio, most))
    plots.name_axes(
        left,
        x="angle between test and pretraining covariance, degrees",
        y="risk / signal",
        title=f"Risk (d = {config.dim}, n = {n_context:,}, k = {n_train:,})",
    )
    dark = plots.ordered_colours(len(config.train_ratios))
    for ratio, colour in zip(config.train_ratios, dark, strict=True):
        rows = exact[exact["k_ratio"] == ratio].pivot(index="angle", columns="method", values="risk")
        plots.draw_exact(right, rows.index, rows["longer"] / rows["scaled"], colour=colour)
    plots.level(right, 1.0)
    plots.log_axis(right, "y", [0.5, 1, 2, 5, 10])
    plots.parameter_legend(
        right, "training rows, k/d", [f"{ratio:g}" for ratio in config.train_ratios], dark, loc="lower right"
    )
    plots.name_axes(
        right,
        x="angle between test and pretraining covariance, degrees",
        y="risk of n + k context rows / risk after a step",
        title="Above 1 the step wins",
    )
    for axes in (left, right):
        axes.set_xticks([0, 15, 30, 45, 60, 75, 90])
    plots.explain(
        figure,
        [
            (
                "exact",
                "theory, exact: best fixed step, fresh context; one_step, icl_risk (W* for n + k rows)",
            ),
            simulation_note(config.n_designs),
            ("reference", "left: in-context learning with n rows; right: equal risks"),
        ],
    )
    return figure


FIGURE = Figure(
    name="linear-shift",
    title="A step against a longer context, as the test task leaves the tasks of pretraining",
    source="after Gozeten et al. (2025), section 5: training at test time under distribution shift",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
