"""Risk against the length of the context for several numbers of training rows: theory and simulation."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.agreement import agreement
from testtime.experiments.grid import Cell, Figure
from testtime.experiments.linear_simulation import Population, simulate_one_step
from testtime.report import plots
from testtime.results import Claim
from testtime.theory.linear import Setting, one_step, pretrained_weight

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
    noise_var
        Label noise, relative to the signal.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    seed
        Root seed.
    """

    dim: int = 200
    context_ratios: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
    train_ratios: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    noise_var: float = 0.0
    n_designs: int = 200
    n_tasks: int = 512
    seed: int = 20250301

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension and fewer designs."""
        return cls(dim=60, context_ratios=(0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 4.0), n_designs=60, n_tasks=256)


def cells(config: Config) -> list[Cell]:
    """One cell of theory, and one of simulation for each context length."""
    simulated = [
        {"id": f"simulation n={round(ratio * config.dim)}", "n_context": round(ratio * config.dim)}
        for ratio in config.context_ratios
    ]
    return [{"id": "theory"}, *simulated]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the exact curves, or the simulated points at one context length."""
    trains = [round(ratio * config.dim) for ratio in config.train_ratios]
    if cell["id"] == "theory":
        low, high = min(config.context_ratios), max(config.context_ratios)
        lengths = np.unique(np.geomspace(0.5 * low * config.dim, 1.2 * high * config.dim, 160).round())
        settings = _setting(config, lengths[:, None], np.array(trains))
        risks = np.broadcast_to(one_step(settings).best_risk, (len(lengths), len(trains)))
        return [
            {"kind": "exact", "n_context": int(length), "n_train": train, "risk": risk}
            for length, row in zip(lengths, risks, strict=True)
            for train, risk in zip(trains, row, strict=True)
        ]
    setting = _setting(config, cell["n_context"], 0)
    population = Population(np.full(config.dim, config.dim**-0.5), np.ones(config.dim), config.noise_var)
    measured = simulate_one_step(
        population,
        pretrained_weight(setting),
        cell["n_context"],
        trains,
        n_designs=config.n_designs,
        n_tasks=config.n_tasks,
        seed=seed,
    )
    rows = []
    for train in trains:
        answer = one_step(setting.replace(n_train=train))
        risk, error = measured[train].risk(answer.best_step)
        where = {"kind": "simulated", "n_context": cell["n_context"], "n_train": train}
        rows.append(where | {"risk": risk, "error": error, "exact": answer.best_risk})
    return rows


def _setting(config: Config, n_context: int | np.ndarray, n_train: int | np.ndarray) -> Setting:
    return Setting(
        n_context, n_train, dim=config.dim, task_cov=1.0 / config.dim, task=1.0, noise_var=config.noise_var
    )


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Theory and simulation agree; training rows always help; more context can hurt a trained model."""
    curves = table[table["kind"] == "exact"].pivot(index="n_context", columns="n_train", values="risk")
    ratios = (curves / curves.shift(axis="columns")).iloc[:, 1:]
    largest = curves.iloc[:, -1].to_numpy()
    valley = int(np.argmin(largest[: len(largest) // 2]))
    rise = float(largest[valley:].max() / largest[valley] - 1.0)
    plain = curves.iloc[:, 0].to_numpy()
    many = max(config.train_ratios)
    return [
        *agreement(table),
        Claim(
            "at every context length more training rows lower the risk by at least 0.1% (ratio of risks)",
            bool((ratios <= 0.999).all(axis=None)),
            float(ratios.max(axis=None)),
            0.999,
        ),
        Claim(
            "without training, more context always lowers the risk (largest ratio of neighbours)",
            bool((plain[1:] / plain[:-1] < 0.9999).all()),
            float((plain[1:] / plain[:-1]).max()),
            0.9999,
        ),
        Claim(
            f"with k = {many:g}d the risk is not monotone in the context: it rises by at least 5%",
            rise >= 0.05,
            rise,
            0.05,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw one colour per k/d: exact lines, simulated markers."""
    figure, (axes,) = plots.new_figure()
    shades = plots.ordered_colours(len(config.train_ratios))
    for ratio, colour in zip(config.train_ratios, shades, strict=True):
        rows = table[table["n_train"] == round(ratio * config.dim)]
        exact, points = rows[rows["kind"] == "exact"], rows[rows["kind"] == "simulated"]
        plots.draw_exact(axes, exact["n_context"] / config.dim, exact["risk"], colour=colour)
        plots.draw_measured(
            axes, points["n_context"] / config.dim, points["risk"], 2 * points["error"], colour=colour
        )
    plots.log_axis(axes, "x", [0.1, 0.2, 0.5, 1, 2, 4])
    axes.set_ylim(0, 1.02)
    plots.name_axes(
        axes,
        x="context rows per input, n/d",
        y="risk after one step / signal",
        title=f"Training rows replace context (d = {config.dim})",
    )
    labels = [f"{ratio:g}" if ratio else "0 (no training)" for ratio in config.train_ratios]
    plots.parameter_legend(axes, "training rows, k/d", labels, shades, loc="upper right")
    plots.explain(
        figure,
        [
            ("exact", "theory, exact: best fixed step from W*, fresh context (docs/theory/linear, one step)"),
            ("measured", f"simulation: mean ± 2 standard errors over {config.n_designs} designs"),
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
