"""Risk against the length of the context for several numbers of training rows: theory and simulation."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import draw_comparison, simulation_note
from testtime.experiments.figure import Figure
from testtime.experiments.linear.comparison import agreement, approach, compared, weight_agreement
from testtime.experiments.linear.simulation import Population, simulate_one_step, simulate_pretraining
from testtime.experiments.linear.small import SMALL_DIM, small_agreement, small_rows
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.theory.linear import Setting, gain_limit, icl_risk_limit, one_step, pretrained_weight

__all__ = ["FIGURE", "Config"]


@dataclass(frozen=True)
class Config:
    """Isotropic inputs and tasks of unit signal; the pretrained weight belongs to each context length.

    Attributes
    ----------
    dim
        Inputs, d.
    context_ratios, train_ratios
        The simulated n/d, and k/d of the curves; 0 is in-context learning without training.
    large_dims
        The dimensions of the right panel, at the largest k/d.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    seed
        Root seed.
    """

    dim: int = 200
    context_ratios: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
    train_ratios: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    large_dims: tuple[int, ...] = (30, 100, 1000, 10000)
    n_designs: int = 2000
    n_tasks: int = 16
    seed: int = 20250301

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension and fewer designs."""
        return cls(dim=60, context_ratios=(0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 4.0), n_designs=1000)


def cells(config: Config) -> list[Cell]:
    """One cell of theory, one of pretraining, one in few dimensions, and one of simulation for each context length."""
    simulated = [
        {"id": f"simulation n={round(ratio * config.dim)}", "n_context": round(ratio * config.dim)}
        for ratio in config.context_ratios
    ]
    return [{"id": "theory"}, {"id": "pretraining"}, {"id": "small"}, *simulated]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the exact curves, or the simulated points at one context length."""
    if cell["id"] == "theory":
        return _curves(config, config.dim, config.train_ratios) + _growing_dimension(config)
    if cell["id"] == "pretraining":
        return _pretraining(config, seed)
    if cell["id"] == "small":
        return small_rows(
            _setting(SMALL_DIM, SMALL_DIM, 8 * SMALL_DIM), np.full(SMALL_DIM, SMALL_DIM**-0.5), seed
        )
    setting = _setting(config.dim, cell["n_context"], 0)
    trains = {round(ratio * config.dim): ratio for ratio in config.train_ratios}
    measured = simulate_one_step(
        Population(np.full(config.dim, config.dim**-0.5), np.ones(config.dim)),
        pretrained_weight(setting),
        cell["n_context"],
        list(trains),
        n_designs=config.n_designs,
        n_tasks=config.n_tasks,
        seed=seed,
    )
    rows = []
    for train, ratio in trains.items():
        answer = one_step(setting.replace(n_train=train))
        where = {"kind": "simulated", "cell": cell["id"], "d": config.dim, "k_ratio": ratio}
        where["n_ratio"] = cell["n_context"] / config.dim
        rows.append(where | compared(measured[train], answer))
    return rows


def _setting(dim: int, n_context: int | np.ndarray, n_train: int | np.ndarray) -> Setting:
    return Setting(n_context, n_train, dim=dim, task_cov=1.0 / dim, task=1.0)


def _pretraining(config: Config, seed: np.random.SeedSequence) -> list[dict]:
    """Return how far W* lies from simulated pretraining, at the context length that equals the dimension."""
    weight = pretrained_weight(_setting(config.dim, config.dim, 0))
    found = simulate_pretraining(
        np.full(config.dim, 1.0 / config.dim),
        weight,
        config.dim,
        n_designs=config.n_designs,
        n_tasks=config.n_tasks,
        seed=seed,
    )
    return [{"kind": "simulated weight", "share": share, "error": error} for share, error in found]


def _curves(config: Config, dim: int, train_ratios: tuple[float, ...]) -> list[dict]:
    low, high = min(config.context_ratios), max(config.context_ratios)
    lengths = np.unique(np.geomspace(0.5 * low * dim, 1.2 * high * dim, 160).round())
    rows = []
    for ratio in train_ratios:
        risks = one_step(_setting(dim, lengths, round(ratio * dim))).best_risk
        rows += [
            {"kind": "exact", "d": dim, "k_ratio": ratio, "n_ratio": length / dim, "risk": risk}
            for length, risk in zip(lengths, risks, strict=True)
        ]
    return rows


def _growing_dimension(config: Config) -> list[dict]:
    """Return the exact curves with most training rows in larger and larger dimension, and their limit."""
    most = max(config.train_ratios)
    rows = []
    for dim in config.large_dims:
        rows += [row | {"kind": "growing"} for row in _curves(config, dim, (most,))]
    low, high = min(config.context_ratios), max(config.context_ratios)
    ratios = np.geomspace(0.5 * low, 1.2 * high, 160)
    risks = icl_risk_limit(ratios) - gain_limit(ratios, most)
    limit = [
        {"kind": "limit", "k_ratio": most, "n_ratio": ratio, "risk": risk}
        for ratio, risk in zip(ratios, risks, strict=True)
    ]
    huge = 10**6
    for ratio in config.context_ratios:
        n_context = round(ratio * huge)
        answer = one_step(_setting(huge, n_context, round(most * huge)))
        reached = {
            "icl_risk_limit": answer.risk_before / icl_risk_limit(n_context / huge),
            "gain_limit": answer.gain / gain_limit(n_context / huge, most),
        }
        limit += [{"kind": "approach", "name": name, "ratio": share} for name, share in reached.items()]
    return rows + limit


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Theory and simulation agree; training rows always help; in large dimension more context can hurt."""
    curves = table[table["kind"] == "exact"].pivot(index="n_ratio", columns="k_ratio", values="risk")
    plain = curves.iloc[:, 0].to_numpy()
    growing = table[table["kind"] == "growing"].pivot(index="n_ratio", columns="d", values="risk")
    rises = {dim: _rise(growing[dim].dropna().to_numpy()) for dim in config.large_dims}
    small, large, many = min(rises), max(rises), max(config.train_ratios)
    return [
        *agreement(table),
        *small_agreement(table),
        *weight_agreement(table),
        *approach(table),
        at_most(
            "at every context length more training rows lower the risk by at least 0.05% (largest ratio)",
            (curves / curves.shift(axis="columns")).max(axis=None),
            0.9995,
        ),
        at_most(
            "without training, more context always lowers the risk (largest ratio of neighbours)",
            (plain[1:] / plain[:-1]).max(),
            0.9999,
        ),
        at_least(
            f"at d = {large:,}, k = {many:g}d the risk is not monotone in n: it rises by 20% or more",
            rises[large],
            0.2,
        ),
        at_most(
            f"at d = {small:,} the same curve only falls: what the limit says about it is wrong there (rise)",
            rises[small],
            0.0,
        ),
    ]


def _rise(risks: np.ndarray) -> float:
    """Return the largest rise from any point to any later one, as a share of the lower."""
    return float((risks / np.minimum.accumulate(risks)).max() - 1.0)


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw one colour per k/d with simulated markers, and the largest k/d in growing dimension."""
    figure, (left, right) = plots.new_figure(2, height=4.7)
    shades = plots.ordered_colours(len(config.train_ratios))
    for ratio, colour in zip(config.train_ratios, shades, strict=True):
        rows = table[table["k_ratio"] == ratio]
        draw_comparison(left, rows, "n_ratio", colour=colour)
    labels = [f"{ratio:g}" if ratio else "0 (no training)" for ratio in config.train_ratios]
    plots.parameter_legend(left, "training rows, k/d", labels, shades, loc="upper right")
    dims = plots.ordered_colours(len(config.large_dims), "plasma")
    for dim, colour in zip(config.large_dims, dims, strict=True):
        rows = table[(table["kind"] == "growing") & (table["d"] == dim)]
        plots.draw_exact(right, rows["n_ratio"], rows["risk"], colour=colour)
    rows = table[table["kind"] == "limit"]
    plots.draw_limit(right, rows["n_ratio"], rows["risk"], colour="black")
    labels = [f"{dim:,}" for dim in config.large_dims]
    plots.parameter_legend(right, "inputs, d", labels, dims, loc="upper right")
    for axes in (left, right):
        plots.log_axis(axes, "x", [0.1, 0.2, 0.5, 1, 2, 4])
        axes.set_ylim(0, 1.02)
    label = "context rows per input, n/d"
    plots.name_axes(
        left,
        x=label,
        y="risk after one step / signal",
        title=f"Training rows replace context (d = {config.dim})",
    )
    most = max(config.train_ratios)
    plots.name_axes(right, x=label, title=f"k = {most:g}d: the limit needs very large d")
    plots.explain(
        figure,
        [
            (
                "exact",
                "theory, exact: best fixed step from W*, fresh context; one_step in docs/theory/linear",
            ),
            ("limit", "limit of large n, k, d: 1/(1 + n/d) − k/(k + d) · d³/(n + d)³"),
            simulation_note(config.n_designs),
        ],
    )
    return figure


FIGURE = Figure(
    name="linear-context",
    title="Risk against context length for several numbers of training rows",
    source="Gozeten et al. (2025), Fig. 1a",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
