"""Test tasks aligned with the pretraining tasks or not: training helps most where alignment is poor."""

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
from testtime.experiments.linear.comparison import (
    agreement,
    transition_gap,
    transitions_meet,
    weight_agreement,
)
from testtime.experiments.linear.simulation import simulate_pretraining
from testtime.experiments.linear.small import SMALL_DIM, small_agreement, small_rows
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.theory.linear import Setting, pretrained_weight, start_transition

__all__ = ["FIGURE", "Config"]


@dataclass(frozen=True)
class Config(AlignmentConfig):
    """White inputs; pretraining tasks with an even spectrum of variances; test tasks of unit signal.

    Attributes
    ----------
    spread
        The variances of the pretraining tasks run from ``1 - spread`` to ``1 + spread``, over d.
    transition_ratios
        The range of n/d of the right panel.
    seed
        Root seed.
    """

    spread: float = 0.8
    transition_ratios: tuple[float, float] = (0.3, 3.0)
    seed: int = 20250303

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension and fewer designs."""
        return cls(dim=60, train_ratios=(0.25, 0.5, 1.0, 2.0, 4.0), n_designs=1000)


def cells(config: Config) -> list[Cell]:
    """Theory, pretraining, few dimensions, and one simulation for each alignment; cold is the same for all."""
    simulated = [
        {"id": f"simulation {start} {alignment}", "start": start, "alignment": alignment}
        for start, alignment in [*(("warm", name) for name in ALIGNMENTS), ("cold", "even")]
    ]
    return [{"id": "theory"}, {"id": "pretraining"}, {"id": "small"}, *simulated]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the exact curves and transitions, or the simulated points of one start and alignment."""
    if cell["id"] == "pretraining":
        return _pretraining(config, seed)
    if cell["id"] == "small":
        setting = _setting(replace(config, dim=SMALL_DIM), "opposed", 1.0).replace(n_train=8 * SMALL_DIM)
        return small_rows(setting, setting.task, seed)
    if cell["id"] != "theory":
        return simulated_rows(config, _setting(config, cell["alignment"], config.context_ratio), cell, seed)
    rows = []
    for alignment in ALIGNMENTS:
        setting = _setting(config, alignment, config.context_ratio)
        rows += curve_rows(setting, ("warm", "cold"), config.dense_trains, alignment=alignment)
        for ratio in [config.context_ratio, *np.linspace(*config.transition_ratios, 28).tolist()]:
            setting = _setting(config, alignment, ratio)
            found = start_transition(setting).n_train
            where = {"kind": "transition", "alignment": alignment, "n_ratio": ratio}
            rows.append(where | {"k_ratio": found / config.dim, "gap": transition_gap(setting, found)})
    return rows


def _pretraining(config: Config, seed: np.random.SeedSequence) -> list[dict]:
    """Return how far W* lies from simulated pretraining, in the weak and in the strong half of the directions."""
    setting = _setting(config, "even", config.context_ratio)
    found = simulate_pretraining(
        setting.task_cov,
        pretrained_weight(setting),
        setting.n_context,
        groups=2,
        n_designs=config.n_designs,
        n_tasks=config.n_tasks,
        seed=seed,
    )
    return [
        {"kind": "simulated weight", "half": half, "share": share, "error": error}
        for half, (share, error) in zip(("weak", "strong"), found, strict=True)
    ]


def _setting(config: Config, alignment: str, context_ratio: float) -> Setting:
    spectrum = even_spectrum(config.dim, config.spread)
    return Setting(
        round(context_ratio * config.dim),
        0,
        task_cov=spectrum / config.dim,
        task=aligned_task(spectrum, alignment),
    )


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """The less aligned, the higher the risk, the larger the gain, and the earlier a cold start wins."""
    warm = table[(table["kind"] == "exact") & (table["start"] == "warm")]
    curves = warm.pivot(index="k_ratio", columns="alignment", values="risk")[list(ALIGNMENTS)]
    drop = (curves.iloc[0] - curves.iloc[-1]).to_numpy()
    cold = table[(table["kind"] == "exact") & (table["start"] == "cold")]
    spread = cold.groupby("k_ratio")["risk"].agg(np.ptp).max()
    here = table[(table["kind"] == "transition") & (table["n_ratio"] == config.context_ratio)]
    change = here.set_index("alignment")["k_ratio"][list(ALIGNMENTS)].to_numpy()
    risk_ratio = float((curves.to_numpy()[:, 1:] / curves.to_numpy()[:, :-1]).min())
    return [
        *agreement(table),
        *small_agreement(table),
        *weight_agreement(table),
        transitions_meet(table),
        at_least(
            "from W* each worse alignment has a risk higher by at least 2%, for every k (smallest ratio)",
            risk_ratio,
            1.02,
        ),
        at_least(
            "from W* each worse alignment gains at least 15% more from the training rows (smallest ratio)",
            (drop[1:] / drop[:-1]).min(),
            1.15,
        ),
        at_most(
            "each worse alignment lets the cold start win at least 10% earlier (largest ratio of k*)",
            (change[1:] / change[:-1]).max(),
            0.9,
        ),
        at_most("from zero the alignment makes no difference (largest difference)", spread, 1e-10),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the risks of the three alignments against k/d, and their transitions against n/d."""
    figure, (left, right) = plots.new_figure(2, height=4.7)
    shades = plots.colours(len(ALIGNMENTS))
    drawn = [
        *((("warm", name), colour) for name, colour in zip(ALIGNMENTS, shades, strict=True)),
        (("cold", "even"), plots.GREY),
    ]
    for ((start, alignment), colour), marker in zip(drawn, plots.MARKERS, strict=False):
        rows = table[(table["start"] == start) & (table["alignment"] == alignment)]
        draw_comparison(left, rows, "k_ratio", colour=colour, marker=marker)
    plots.log_axis(left, "x", [0.25, 0.5, 1, 2, 4])
    left.set_ylim(bottom=0)
    plots.parameter_legend(
        left, "start", [f"W*, {name} task" for name in ALIGNMENTS] + ["0, any task"], [*shades, plots.GREY],
        loc="lower left",
    )  # fmt: skip
    plots.name_axes(
        left,
        x="training rows per input, k/d",
        y="risk after one step / signal",
        title=f"Risk (d = {config.dim}, n = {round(config.context_ratio * config.dim)})",
    )
    for alignment, colour in zip(ALIGNMENTS, shades, strict=True):
        rows = table[(table["kind"] == "transition") & (table["alignment"] == alignment)]
        rows = rows.sort_values("n_ratio")
        plots.draw_exact(right, rows["n_ratio"], rows["k_ratio"], colour=colour)
    right.set_ylim(bottom=0)
    plots.name_axes(
        right, x="context rows per input, n/d", y="transition, k*/d", title="Where cold overtakes warm"
    )
    plots.explain(
        figure,
        [
            ("exact", "theory, exact: best fixed step, fresh context; one_step in docs/theory/linear"),
            simulation_note(config.n_designs),
        ],
    )
    return figure


FIGURE = Figure(
    name="linear-alignment",
    title="Risk and transition for test tasks aligned, even and opposed to the pretraining tasks",
    source="Gozeten et al. (2025), Fig. 2a",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
