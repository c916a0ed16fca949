"""How much shorter the context may be after a step, and where the limits mislead about it."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import simulation_note
from testtime.experiments.figure import Figure
from testtime.experiments.linear.comparison import agreement, approach, compared
from testtime.experiments.linear.simulation import Population, simulate_one_step
from testtime.experiments.linear.small import SMALL_DIM, small_agreement, small_rows
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.theory.linear import (
    ContextReduction,
    Setting,
    context_reduction,
    gain_limit,
    icl_risk_limit,
    one_step,
    pretrained_weight,
    smallest_context,
    smallest_context_limit,
)

__all__ = ["FIGURE", "Config"]


@dataclass(frozen=True)
class Config:
    """Isotropic inputs and tasks of unit signal, without noise; W* is retrained for each context length.

    Attributes
    ----------
    dim, targets
        Inputs d and target risks of the left panel.
    train_ratios
        Its range of k/d, and the number of points.
    gain_dims, gain_context_ratios
        The range of d of the right panel, and the n/d of its curves; k = d.
    simulated_dims
        The d for which the gain is simulated.
    growing_dims
        The d for which the shortest context for a risk of 0.1 with k = 20 d is computed.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    seed
        Root seed.
    """

    dim: int = 1000
    targets: tuple[float, ...] = (0.7, 0.5, 0.3, 0.2)
    train_ratios: tuple[float, float, int] = (0.1, 20.0, 120)
    gain_dims: tuple[float, float] = (10, 3000)
    gain_context_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    simulated_dims: tuple[int, ...] = (10, 30, 100, 300)
    growing_dims: tuple[int, ...] = (400, 1600, 6400, 25600)
    n_designs: int = 3000
    n_tasks: int = 16
    seed: int = 20250305

    @classmethod
    def quick(cls) -> Config:
        """Return fewer points and fewer designs."""
        return cls(
            train_ratios=(0.1, 20.0, 40),
            simulated_dims=(10, 30, 100),
            growing_dims=(400, 1600, 6400),
            n_designs=2000,
        )


def cells(config: Config) -> list[Cell]:
    """One cell for each target, two for the limits, and one of simulation for each dimension."""
    simulated = [{"id": f"simulation d={dim}", "dim": dim} for dim in config.simulated_dims]
    targets = [{"id": f"target {target:g}", "target": target} for target in config.targets]
    return [*targets, {"id": "gain"}, {"id": "growing"}, {"id": "small"}, *simulated]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the rows of one target, of the exact gains, of the growing dimensions, or of one simulation."""
    if "target" in cell:
        return _reductions(config, cell["target"])
    if cell["id"] == "gain":
        dims = 2 * np.unique(np.geomspace(*config.gain_dims, 60).round() // 2)  # even, so that n/d is exact
        return [row for ratio in config.gain_context_ratios for row in _gains(dims, ratio)]
    if cell["id"] == "growing":
        lengths = [smallest_context(_setting(dim, 0, 20 * dim), 0.1) for dim in config.growing_dims]
        return [
            {"kind": "growing", "d": dim, "n_context": length}
            for dim, length in zip(config.growing_dims, lengths, strict=True)
        ]
    if cell["id"] == "small":
        return small_rows(
            _setting(SMALL_DIM, SMALL_DIM, 8 * SMALL_DIM), np.full(SMALL_DIM, SMALL_DIM**-0.5), seed
        )
    return _simulated(config, cell["dim"], seed)


def _setting(dim: int, n_context: int, n_train: int) -> Setting:
    return Setting(n_context, n_train, dim=dim, task_cov=1.0 / dim, task=1.0)


def _reductions(config: Config, target: float) -> list[dict]:
    low, high, count = config.train_ratios
    alone = 1.0 / target - 1.0  # n/d of in-context learning without training
    rows = []
    for ratio in np.geomspace(low, high, count):
        setting = _setting(config.dim, 0, round(ratio * config.dim))
        where = {"d": config.dim, "target": target, "k_ratio": setting.n_train / config.dim}
        found = context_reduction(setting, target)
        lengths = {"n_context": found.with_step, "n_alone": found.without}
        rows.append({"kind": "exact", **where, **lengths, "factor": found.factor})
        rows.append({"kind": "shortest", **where, **_around(setting, found, target)})
        limit = smallest_context_limit(target, where["k_ratio"])
        if limit > 0:
            rows.append({"kind": "limit", **where, "factor": alone / limit})
            reached = icl_risk_limit(limit) - gain_limit(limit, where["k_ratio"])
            rows.append(
                {"kind": "approach", "name": "smallest_context_limit, its risk", "ratio": reached / target}
            )
    return rows


def _around(setting: Setting, found: ContextReduction, target: float) -> dict[str, float]:
    """Return the risk at the lengths found over the target, at most 1, and the least at shorter ones, above 1."""
    reached = {}
    for name, length, n_train in (
        ("alone", found.without, 0),
        ("with_step", found.with_step, setting.n_train),
    ):
        lengths = np.arange(max(0, int(length) - 200), int(length) + 1)
        here = setting.replace(n_context=lengths, n_train=n_train)
        best = np.minimum(one_step(here).best_risk, one_step(here, "cold").best_risk) / target
        reached |= {name: float(best[-1]), f"{name}_before": float(best[:-1].min(initial=np.inf))}
    return reached


def _gains(dims: np.ndarray, context_ratio: float) -> list[dict]:
    rows = []
    for dim in dims:
        n_context = round(context_ratio * dim)
        gain = one_step(_setting(int(dim), n_context, int(dim))).gain
        limit = gain_limit(n_context / dim, 1.0)
        rows.append({"kind": "gain", "d": int(dim), "n_ratio": context_ratio, "factor": gain / limit})
    huge = 10**6
    ratio = one_step(_setting(huge, round(context_ratio * huge), huge)).gain / gain_limit(context_ratio, 1.0)
    rows.append({"kind": "approach", "name": "gain_limit", "ratio": ratio})
    return rows


def _simulated(config: Config, dim: int, seed: np.random.SeedSequence) -> list[dict]:
    rows = []
    for ratio, child in zip(
        config.gain_context_ratios, seed.spawn(len(config.gain_context_ratios)), strict=True
    ):
        setting = _setting(dim, round(ratio * dim), dim)
        measured = simulate_one_step(
            Population(np.full(dim, dim**-0.5), np.ones(dim)),
            pretrained_weight(setting),
            setting.n_context,
            [dim],
            n_designs=config.n_designs,
            n_tasks=config.n_tasks,
            seed=child,
        )[dim]
        answer = one_step(setting)
        gain, gain_error = measured.gain(answer.best_step)
        limit = gain_limit(setting.n_context / dim, 1.0)
        row = {"kind": "simulated", "cell": f"d={dim} n/d={ratio:g}", "d": dim, "n_ratio": ratio}
        row |= {"factor": gain / limit, "factor_error": gain_error / limit}
        rows.append(row | compared(measured, answer))
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """The context shrinks a lot from a cold start, little from a warm one; limits mislead below d = 100."""
    exact, gains = table[table["kind"] == "exact"], table[table["kind"] == "gain"]
    half = exact[exact["target"] == 0.5]
    few, many = half[half["k_ratio"] <= 0.5]["factor"], half[half["k_ratio"] >= 2.0]["factor"]
    growing = table[table["kind"] == "growing"].sort_values("d")
    lengths, dims = growing["n_context"].to_numpy(), growing["d"].to_numpy()
    small = gains[gains["d"] == gains["d"].min()]["factor"].max()
    middle = gains[(gains["d"] >= 90) & (gains["d"] <= 110)]["factor"]
    large = gains[gains["d"] == gains["d"].max()]["factor"].min()
    limits, shortest = table[table["kind"] == "limit"], table[table["kind"] == "shortest"]
    reached = shortest[["alone", "with_step"]].max(axis=None)
    missed = shortest[["alone_before", "with_step_before"]].min(axis=None)
    both = exact.merge(limits, on=["target", "k_ratio"], suffixes=("", "_limit"))
    return [
        *agreement(table),
        *small_agreement(table),
        *approach(table),
        at_most(
            "at every shortest context drawn the risk is at most the target (largest ratio)",
            reached,
            1.0 + 1e-9,
        ),
        at_least("and at up to 200 shorter ones it is above the target (smallest ratio)", missed, 1.0),
        at_least("risk 0.5 with k >= 2d: the context may be 10 times shorter or more", many.min(), 10.0),
        at_most("risk 0.5 with k <= d/2: not even 1.5 times shorter", few.max(), 1.5),
        at_most(
            "risk 0.1 with k = 20 d: the context grows more slowly than d^0.7 (exponent, first to last d)",
            np.log(lengths[-1] / lengths[0]) / np.log(dims[-1] / dims[0]),
            0.7,
        ),
        at_most(
            "the limit never promises less than the truth (factor, largest exact/limit)",
            (both["factor"] / both["factor_limit"]).max(),
            1.005,
        ),
        at_most("at d = 10 the true gain is less than 70% of its limit, for every n/d", small, 0.7),
        at_least("at d = 100 the true gain is at least 80% of its limit, for every n/d", middle.min(), 0.8),
        at_least("at the largest d the true gain is at least 98% of its limit, for every n/d", large, 0.98),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the reduction factors against k/d, and the gain over its limit against d."""
    figure, (left, right) = plots.new_figure(2, height=4.7)
    shades = plots.ordered_colours(len(config.targets))
    for target, colour in zip(config.targets, shades, strict=True):
        rows = table[table["target"] == target]
        exact, limit = rows[rows["kind"] == "exact"], rows[rows["kind"] == "limit"]
        plots.draw_exact(left, exact["k_ratio"], exact["factor"], colour=colour)
        plots.draw_limit(left, limit["k_ratio"], limit["factor"], colour=colour)
    plots.log_axis(left, "x", [0.1, 0.3, 1, 3, 10])
    plots.log_axis(left, "y", [1, 2, 5, 10, 20, 50])
    left.set_ylim(0.9, 80)
    labels = [f"{target:g}" for target in config.targets]
    plots.parameter_legend(left, "target risk / signal", labels, shades, loc="upper left")
    plots.name_axes(
        left,
        x="training rows per input, k/d",
        y="context rows: without / with a step",
        title=f"Shorter context, same risk (d = {config.dim:,})",
    )
    shades = plots.ordered_colours(len(config.gain_context_ratios), "plasma")
    for ratio, colour in zip(config.gain_context_ratios, shades, strict=True):
        rows = table[table["n_ratio"] == ratio]
        exact, points = rows[rows["kind"] == "gain"], rows[rows["kind"] == "simulated"]
        plots.draw_exact(right, exact["d"], exact["factor"], colour=colour)
        plots.draw_measured(right, points["d"], points["factor"], 2 * points["factor_error"], colour=colour)
    plots.level(right, 1.0)
    plots.log_axis(right, "x", [10, 30, 100, 300, 1000, 3000])
    right.set_ylim(0, 1.08)
    labels = [f"{ratio:g}" for ratio in config.gain_context_ratios]
    plots.parameter_legend(right, "context rows, n/d", labels, shades, loc="lower right")
    plots.name_axes(
        right, x="inputs, d", y="gain / its limit", title="How much of the promised gain is real (k = d)"
    )
    plots.explain(
        figure,
        [
            (
                "exact",
                "theory, exact: best fixed step, fresh context; context_reduction, one_step",
            ),
            (
                "limit",
                "limit of large n, k, d: smallest_context_limit (it diverges where n = o(d) is enough)",
            ),
            simulation_note(config.n_designs),
            ("reference", "exact = limit: k/(k + d) · d³/(n + d)³"),
        ],
    )
    return figure


FIGURE = Figure(
    name="linear-reduction",
    title="How much shorter the context may be, and where the limits mislead",
    source="after the sample-complexity results of Gozeten et al. (2025), section 4",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
