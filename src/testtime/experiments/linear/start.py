"""Where to start training: the pretrained weight, zero, or in between; and where the better one changes."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import draw_comparison, simulation_note
from testtime.experiments.figure import Figure
from testtime.experiments.linear.comparison import (
    agreement,
    approach,
    compared,
    transition_gap,
    transitions_meet,
)
from testtime.experiments.linear.simulation import Population, simulate_one_step
from testtime.experiments.linear.small import SMALL_DIM, small_agreement, small_rows
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.theory.linear import (
    Setting,
    best_scaled_start,
    one_step,
    pretrained_weight,
    start_transition,
    transition_limit,
)

__all__ = ["FIGURE", "Config"]


@dataclass(frozen=True)
class Config:
    """Isotropic inputs and tasks of unit signal.

    Attributes
    ----------
    dim, context_ratio
        Inputs d, and n/d of the left panel.
    train_ratios
        The simulated k/d.
    transition_dims, transition_ratios
        The d and the range of n/d for which the transition is drawn in the right panel.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    seed
        Root seed.
    """

    dim: int = 200
    context_ratio: float = 1.0
    train_ratios: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
    transition_dims: tuple[int, ...] = (30, 100, 1000)
    transition_ratios: tuple[float, float] = (0.25, 4.0)
    n_designs: int = 2000
    n_tasks: int = 16
    seed: int = 20250302

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension and fewer designs."""
        return cls(dim=60, train_ratios=(0.25, 0.5, 1.0, 2.0, 4.0, 8.0), n_designs=1000)


def cells(config: Config) -> list[Cell]:
    """One cell of theory, one in few dimensions, one of simulation for each start; the scaled one depends on k."""
    trains = [round(ratio * config.dim) for ratio in config.train_ratios]
    scaled = [
        {"id": f"simulation scaled k={train}", "start": "scaled", "trains": [train]} for train in trains
    ]
    plain = [{"id": f"simulation {start}", "start": start, "trains": trains} for start in ("warm", "cold")]
    return [{"id": "theory"}, {"id": "small"}, *plain, *scaled]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the exact curves and transitions, or the simulated points of one start."""
    setting = _setting(config.dim, config.context_ratio)
    if cell["id"] == "theory":
        return _curves(config, setting) + _transitions(config)
    if cell["id"] == "small":
        small = _setting(SMALL_DIM, config.context_ratio).replace(n_train=8 * SMALL_DIM)
        return small_rows(small, np.full(SMALL_DIM, SMALL_DIM**-0.5), seed)
    weight = {"warm": pretrained_weight(setting), "cold": 0.0}.get(cell["start"])
    if weight is None:
        scale = best_scaled_start(setting.replace(n_train=cell["trains"][0])).scale
        weight = scale * pretrained_weight(setting)
    measured = simulate_one_step(
        Population(np.full(config.dim, config.dim**-0.5), np.ones(config.dim)),
        weight,
        setting.n_context,
        cell["trains"],
        n_designs=config.n_designs,
        n_tasks=config.n_tasks,
        seed=seed,
    )
    rows = []
    for train in cell["trains"]:
        answer = one_step(setting.replace(n_train=train), weight)
        where = {"kind": "simulated", "cell": cell["id"], "start": cell["start"]}
        rows.append(where | {"k_ratio": train / config.dim} | compared(measured[train], answer))
    return rows


def _setting(dim: int, context_ratio: float) -> Setting:
    return Setting(round(context_ratio * dim), 0, dim=dim, task_cov=1.0 / dim, task=1.0)


def _curves(config: Config, setting: Setting) -> list[dict]:
    low, high = min(config.train_ratios), max(config.train_ratios)
    trains = np.unique(np.geomspace(0.5 * low * config.dim, 1.2 * high * config.dim, 60).round().astype(int))
    rows = []
    for train in trains:
        here = setting.replace(n_train=int(train))
        scaled = best_scaled_start(here)
        risks = {"warm": scaled.warm_risk, "cold": scaled.cold_risk, "scaled": scaled.risk}
        for start, risk in risks.items():
            rows.append({"kind": "exact", "start": start, "k_ratio": train / config.dim, "risk": risk})
        best = pretrained_weight(here)
        for side in (0.99, 1.01):
            beside = one_step(here, side * scaled.scale * best).best_risk
            rows.append(
                {"kind": "beside", "k_ratio": train / config.dim, "excess": beside / scaled.risk - 1.0}
            )
    exact = start_transition(setting).n_train
    limit = transition_limit(config.context_ratio)
    here = {"kind": "transition", "d": config.dim, "n_ratio": config.context_ratio}
    huge = _setting(10**7, config.context_ratio)
    return [
        *rows,
        here | {"k_ratio": exact / config.dim, "gap": transition_gap(setting, exact)},
        {"kind": "transition limit", "n_ratio": config.context_ratio, "k_ratio": limit},
        *(
            {
                "kind": "approach",
                "name": "transition_limit",
                "ratio": start_transition(_setting(huge.dim, ratio)).n_train
                / huge.dim
                / transition_limit(ratio),
            }
            for ratio in (*config.transition_ratios, config.context_ratio)
        ),
    ]


def _transitions(config: Config) -> list[dict]:
    ratios = np.linspace(*config.transition_ratios, 46)
    rows = [{"kind": "transition curve limit", "n_ratio": r, "k_ratio": transition_limit(r)} for r in ratios]
    for dim in config.transition_dims:
        for ratio in ratios:
            setting = _setting(dim, ratio)
            found = start_transition(setting).n_train
            where = {"kind": "transition curve", "d": dim, "n_ratio": setting.n_context / dim}
            rows.append(where | {"k_ratio": found / dim, "gap": transition_gap(setting, found)})
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Few rows: warm; many rows: cold; the limit puts the change too early; a scaled start beats both."""
    exact = float(table.loc[table["kind"] == "transition", "k_ratio"].iloc[0])
    limit = float(table.loc[table["kind"] == "transition limit", "k_ratio"].iloc[0])
    points = table[table["kind"] == "simulated"].pivot(index="k_ratio", columns="start", values="risk")
    few = points[points.index <= exact / 1.4]
    many = points[points.index >= exact * 1.4]
    curves = table[table["kind"] == "exact"].pivot(index="k_ratio", columns="start", values="risk")
    return [
        *agreement(table),
        *small_agreement(table),
        *approach(table),
        transitions_meet(table),
        at_least(
            "from a start 1% off the best scale the risk is higher, to either side (smallest excess)",
            table[table["kind"] == "beside"]["excess"].min(),
            1e-9,
        ),
        at_most(
            "simulated: below 1/1.4 of the exact transition warm is better by at least 1% (largest ratio)",
            (few["warm"] / few["cold"]).max(),
            0.99,
        ),
        at_most(
            "simulated: above 1.4 times the exact transition cold is better by at least 1% (largest ratio)",
            (many["cold"] / many["warm"]).max(),
            0.99,
        ),
        at_least(
            f"at d = {config.dim} the transition lies at least 3% above its limit {limit:.3f} d (ratio)",
            exact / limit,
            1.03,
        ),
        at_most(
            "the best scaled start is better than warm and cold for every k (largest ratio)",
            (curves["scaled"] / curves[["warm", "cold"]].min(axis=1)).max(),
            0.999,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the three starts against k/d, and the transition against n/d for several dimensions."""
    figure, (left, right) = plots.new_figure(2, height=4.7)
    names = {"warm": "W* (warm)", "cold": "0 (cold)", "scaled": "c W*, best c"}
    shades = plots.colours(len(names))
    for (start, _), colour, marker in zip(names.items(), shades, plots.MARKERS, strict=False):
        rows = table[table["start"] == start]
        draw_comparison(left, rows, "k_ratio", colour=colour, marker=marker)
    exact_k = float(table.loc[table["kind"] == "transition", "k_ratio"].iloc[0])
    limit_k = float(table.loc[table["kind"] == "transition limit", "k_ratio"].iloc[0])
    plots.mark(left, exact_k, f"exact {exact_k:.2f}", height=0.99)
    plots.mark(left, limit_k, f"limit {limit_k:.2f}", dashed=True, height=0.99, side="left")
    plots.log_axis(left, "x", [0.1, 0.25, 0.5, 1, 2, 4, 8])
    plots.parameter_legend(left, "start", list(names.values()), shades, loc="lower left")
    plots.name_axes(
        left,
        x="training rows per input, k/d",
        y="risk after one step / signal",
        title=f"Which start is better (d = {config.dim}, n = {round(config.context_ratio * config.dim)})",
    )
    dims = plots.ordered_colours(len(config.transition_dims))
    for dim, colour in zip(config.transition_dims, dims, strict=True):
        rows = table[(table["kind"] == "transition curve") & (table["d"] == dim)]
        plots.draw_exact(right, rows["n_ratio"], rows["k_ratio"], colour=colour)
    rows = table[table["kind"] == "transition curve limit"]
    plots.draw_limit(right, rows["n_ratio"], rows["k_ratio"], colour="black")
    labels = [f"{dim:,}" for dim in config.transition_dims]
    plots.parameter_legend(right, "inputs, d", labels, dims, loc="lower right")
    right.set_ylim(0, 6)
    plots.name_axes(
        right, x="context rows per input, n/d", y="transition, k*/d", title="Where cold overtakes warm"
    )
    plots.explain(
        figure,
        [
            (
                "exact",
                "theory, exact: best fixed step, fresh context; start_transition in docs/theory/linear",
            ),
            ("limit", "limit of large n, k, d: k*/d = (1 + n/d)² / (2 + n/d)"),
            simulation_note(config.n_designs),
        ],
    )
    return figure


FIGURE = Figure(
    name="linear-start",
    title="Warm, cold and scaled starts against training rows, and where the better one changes",
    source="Gozeten et al. (2025), Fig. 1b",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
