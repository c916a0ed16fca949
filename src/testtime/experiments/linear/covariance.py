"""Correlated inputs: test tasks that lie where the inputs vary most are learnt from fewer training rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import draw_comparison, simulation_note
from testtime.experiments.figure import Figure
from testtime.experiments.linear.alignments import (
    ALIGNMENTS,
    AlignmentConfig,
    aligned_task,
    curve_rows,
    even_spectrum,
    simulated_rows,
)
from testtime.experiments.linear.comparison import agreement, approach, transition_gap, transitions_meet
from testtime.experiments.linear.small import SMALL_DIM, small_agreement, small_rows
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.theory.linear import Setting, one_step, one_step_limit, start_transition

__all__ = ["FIGURE", "Config"]


@dataclass(frozen=True)
class Config(AlignmentConfig):
    """Inputs with an even spectrum of variances; isotropic pretraining tasks; test tasks of unit signal.

    Attributes
    ----------
    spread
        The variances of the inputs run from ``1 - spread`` to ``1 + spread``.
    noise_var
        Label noise, relative to the signal.
    seed
        Root seed.
    """

    spread: float = 0.7
    noise_var: float = 0.1
    seed: int = 20250304

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension and fewer designs."""
        return cls(dim=60, train_ratios=(0.25, 0.5, 1.0, 2.0, 4.0), n_designs=1000)


def cells(config: Config) -> list[Cell]:
    """One cell of theory, one in few dimensions, and one of simulation for each start and alignment."""
    simulated = [
        {"id": f"simulation {start} {alignment}", "start": start, "alignment": alignment}
        for start in ("warm", "cold")
        for alignment in ALIGNMENTS
    ]
    return [{"id": "theory"}, {"id": "small"}, *simulated]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the exact curves and transitions, or the simulated points of one start and alignment."""
    if cell["id"] == "small":
        setting = _setting(replace(config, dim=SMALL_DIM), "opposed").replace(n_train=8 * SMALL_DIM)
        return small_rows(setting, setting.task, seed)
    if cell["id"] != "theory":
        return simulated_rows(config, _setting(config, cell["alignment"]), cell, seed)
    rows = []
    for alignment in ALIGNMENTS:
        setting = _setting(config, alignment)
        rows += curve_rows(setting, ("warm", "cold"), config.dense_trains, alignment=alignment)
        found = start_transition(setting).n_train
        gap = transition_gap(setting, found)
        rows.append({"kind": "transition", "alignment": alignment, "k_ratio": found / config.dim, "gap": gap})
    return rows + _approach(config)


def _approach(config: Config) -> list[dict]:
    """Return the exact risk and gain over their limits in a dimension a hundred times as large."""
    rows, large = [], replace(config, dim=100 * config.dim)
    for alignment in ALIGNMENTS:
        for start in ("warm", "cold"):
            setting = _setting(large, alignment).replace(n_train=large.dim)
            exact, limit = one_step(setting, start), one_step_limit(setting, start)
            ratios = {"risk": exact.risk_before / limit.risk_before, "gain": exact.gain / limit.gain}
            ratios["half_train"] = exact.half_train / limit.half_train
            rows += [
                {"kind": "approach", "name": f"one_step_limit, {name}", "ratio": ratio}
                for name, ratio in ratios.items()
            ]
    return rows


def _setting(config: Config, alignment: str) -> Setting:
    spectrum = even_spectrum(config.dim, config.spread)
    task = aligned_task(spectrum, alignment)
    return Setting(
        round(config.context_ratio * config.dim),
        0,
        input_cov=spectrum,
        task_cov=1.0 / config.dim,
        task=task / np.sqrt(task @ (spectrum * task)),
        noise_var=config.noise_var,
    )


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Tasks where the inputs vary most have the lowest risk, from either start, and change start earliest."""
    exact, limit = table[table["kind"] == "exact"], table[table["kind"] == "limit"]
    curves = exact.pivot(index=["start", "k_ratio"], columns="alignment", values="risk")[list(ALIGNMENTS)]
    end = curves.loc[curves.index.get_level_values("k_ratio") >= 1.0].to_numpy()
    change = table[table["kind"] == "transition"].set_index("alignment")["k_ratio"]
    points = table[(table["kind"] == "simulated") & (table["start"] == "cold")]
    many = points[points["k_ratio"] == max(config.train_ratios)].set_index("alignment")["risk"]
    return [
        *agreement(table),
        *small_agreement(table),
        *approach(table),
        transitions_meet(table),
        at_least(
            "for k >= d each worse alignment has a risk higher by at least 3%, from W* and from 0 (ratio)",
            (end[:, 1:] / end[:, :-1]).min(),
            1.03,
        ),
        at_least(
            "each worse alignment lets the cold start win at least 5% later (smallest ratio of k*)",
            (change[list(ALIGNMENTS[1:])].to_numpy() / change[list(ALIGNMENTS[:-1])].to_numpy()).min(),
            1.05,
        ),
        at_least(
            "the limit promises too low a risk everywhere, by at least 0.1% (smallest share)",
            (1.0 - limit["risk"].to_numpy() / exact["risk"].to_numpy()).min(),
            0.001,
        ),
        at_most(
            "simulated: from zero an aligned task is learnt at least 10% better than an opposed one (ratio)",
            many["aligned"] / many["opposed"],
            0.9,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the three alignments against k/d, one panel for each start."""
    figure, panels = plots.new_figure(2, height=4.7)
    shades = plots.colours(len(ALIGNMENTS))
    top = 1.02 * float(table["risk"].max())
    for axes, start, title in zip(panels, ("warm", "cold"), ("from W* (warm)", "from 0 (cold)"), strict=True):
        for alignment, colour, marker in zip(ALIGNMENTS, shades, plots.MARKERS, strict=False):
            rows = table[(table["start"] == start) & (table["alignment"] == alignment)]
            limit = rows[rows["kind"] == "limit"]
            draw_comparison(axes, rows, "k_ratio", colour=colour, marker=marker)
            plots.draw_limit(axes, limit["k_ratio"], limit["risk"], colour=colour)
        plots.level(axes, config.noise_var)
        plots.log_axis(axes, "x", [0.25, 0.5, 1, 2, 4])
        axes.set_ylim(0, top)
        plots.name_axes(axes, x="training rows per input, k/d", title=title)
    panels[0].set_ylabel("risk after one step / signal")
    panels[0].set_title(f"from W* (warm), d = {config.dim}, n = {round(config.context_ratio * config.dim)}")
    plots.parameter_legend(panels[0], "test task", list(ALIGNMENTS), shades, loc="upper right")
    plots.explain(
        figure,
        [
            ("exact", "theory, exact: best fixed step, fresh context; one_step in docs/theory/linear"),
            ("limit", "limit of large n, k, d; one_step_limit in docs/theory/linear"),
            simulation_note(config.n_designs),
            ("reference", "label noise"),
        ],
    )
    return figure


FIGURE = Figure(
    name="linear-covariance",
    title="Risk for test tasks aligned, even and opposed to the covariance of the inputs",
    source="Gozeten et al. (2025), Fig. 2b",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
