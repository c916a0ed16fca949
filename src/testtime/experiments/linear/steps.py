"""Several steps with decaying lengths, judged on the context they were taken on and on fresh ones, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import simulation_note
from testtime.experiments.figure import Figure
from testtime.experiments.linear.comparison import approach, largest
from testtime.experiments.linear.simulation import Population, simulate_steps
from testtime.experiments.linear.small import SMALL_DIM, small_agreement, small_rows
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.theory.linear import (
    Setting,
    best_filter,
    decayed,
    one_step,
    pretrained_weight,
    several_steps,
    several_steps_fresh_limit,
)

__all__ = ["FIGURE", "Config"]

READINGS = {"same": "the context trained on", "fresh": "fresh contexts"}


@dataclass(frozen=True)
class Config:
    """Isotropic inputs and tasks of unit signal.

    Attributes
    ----------
    dim, context_ratio, train_ratio
        Inputs d, n/d and k/d.
    noise_var
        Label noise, relative to the signal.
    decays
        Ratio of each step length to the one before; the first is the best single step in the reading drawn.
    n_steps
        Steps taken.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    seed
        Root seed.
    """

    dim: int = 200
    context_ratio: float = 2.0
    train_ratio: float = 2.0
    noise_var: float = 0.1
    decays: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    n_steps: int = 8
    n_designs: int = 1000
    n_tasks: int = 16
    seed: int = 20250306

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension."""
        return cls(dim=60, n_designs=600)


def cells(config: Config) -> list[Cell]:
    """Theory, one step in few dimensions, and one simulation for each reading; all decays on the same rows."""
    return [
        {"id": "theory"},
        {"id": "small"},
        *({"id": f"simulation {reading}", "context": reading} for reading in READINGS),
    ]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the theory of all paths, or all simulated paths in one reading."""
    setting = _setting(config, config.dim)
    if cell["id"] == "theory":
        return _theory(config, setting)
    if cell["id"] == "small":
        small = _setting(config, SMALL_DIM).replace(n_train=8 * SMALL_DIM)
        return small_rows(small, np.full(SMALL_DIM, SMALL_DIM**-0.5), seed, step="normalized")
    rows = []
    for decay in config.decays:
        lengths = _lengths(config, setting, cell["context"], decay)
        risks = simulate_steps(
            Population(np.full(config.dim, config.dim**-0.5), np.ones(config.dim), config.noise_var),
            pretrained_weight(setting),
            setting.n_context,
            setting.n_train,
            lengths,
            fresh=cell["context"] == "fresh",
            n_designs=(2 if cell["context"] == "fresh" else 1)
            * config.n_designs,  # where the falls are small
            n_tasks=config.n_tasks,
            seed=seed,
        )
        where = {"kind": "simulated", "context": cell["context"], "decay": decay}
        rows += _compared(where, risks, several_steps(setting, lengths, context=cell["context"]).risks)
    return rows


def _compared(where: dict, risks: np.ndarray, exact: Sequence[float]) -> list[dict]:
    """Return risk and fall of the risk after each step, simulated and exact; the fall is paired by design."""
    falls, root = risks[0] - risks, np.sqrt(risks.shape[1])
    return [
        where
        | {"step": step, "risk": risks[step].mean(), "error": risks[step].std(ddof=1) / root}
        | {"exact": exact[step], "fall_exact": exact[0] - exact[step]}
        | {"fall": falls[step].mean(), "fall_error": falls[step].std(ddof=1) / root}
        for step in range(len(risks))
    ]


def _setting(config: Config, dim: int) -> Setting:
    return Setting(
        round(config.context_ratio * dim),
        round(config.train_ratio * dim),
        dim=dim,
        task_cov=1.0 / dim,
        task=1.0,
        noise_var=config.noise_var,
    )


def _lengths(config: Config, setting: Setting, context: str, decay: float) -> list[float]:
    first = one_step(setting, context=context, step="normalized").best_length
    return decayed(first, decay, config.n_steps)


def _theory(config: Config, setting: Setting) -> list[dict]:
    rows, large = [], _setting(config, 40 * config.dim)
    for context in READINGS:
        for decay in config.decays:
            found = several_steps(setting, _lengths(config, setting, context, decay), context=context)
            where = {"kind": "exact", "context": context, "decay": decay}
            rows += [where | {"step": step, "risk": risk} for step, risk in enumerate(found.risks)]
        for steps in range(config.n_steps + 1):
            floor = best_filter(setting, steps, context=context)
            row = {"kind": "floor", "context": context, "step": steps, "risk": floor.risk}
            if floor.lengths is not None:  # real lengths walk there
                walked = several_steps(setting, floor.lengths, context=context).risks[-1]
                row["missed"] = walked / floor.risk - 1.0
            rows.append(row)
    for decay in config.decays:
        lengths = _lengths(config, setting, "fresh", decay)
        limit = several_steps_fresh_limit(setting, lengths).risks
        rows += [
            {"kind": "limit", "context": "fresh", "decay": decay, "step": step, "risk": risk}
            for step, risk in enumerate(limit)
        ]
    name = "several_steps_fresh_limit"
    for shorter, what in ((1.0, "risks"), (0.5, "falls of steps half as long")):
        # at the best length a fall hardly moves with the moments behind it, at half of it it does
        lengths = [shorter * length for length in _lengths(config, large, "fresh", 0.6)[:4]]
        exact = np.array(several_steps(large, lengths, context="fresh").risks)
        limit = np.array(several_steps_fresh_limit(large, lengths).risks)
        ratios = exact / limit if shorter == 1.0 else (exact[0] - exact[1:]) / (limit[0] - limit[1:])
        rows += [{"kind": "approach", "name": f"{name}, {what}", "ratio": ratio} for ratio in ratios.tolist()]
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Theory and simulation agree; on the same context slow decay is best, on fresh contexts it over-fits."""
    points = table[table["kind"] == "simulated"]
    moved = points[points["step"] > 0]
    exact = table[table["kind"] == "exact"]
    paths = {
        context: rows.pivot(index="step", columns="decay", values="risk").sort_index(axis="columns")
        for context, rows in exact.groupby("context")
    }
    floor = table[table["kind"] == "floor"].set_index(["context", "step"])
    above = exact.set_index(["context", "step"])["risk"] / floor["risk"]
    last, overfit = paths["same"].iloc[-1].to_numpy(), paths["fresh"].iloc[-1] / paths["fresh"].min()
    limit = table[table["kind"] == "limit"].merge(
        exact, on=["context", "decay", "step"], suffixes=("", "_exact")
    )
    return [
        at_most(
            f"all {len(points)} simulated risks lie within 5 standard errors of theory, in both readings",
            largest((points["risk"] - points["exact"]) / points["error"]),
            5.0,
        ),
        at_most(
            "so do all falls of the risk",
            largest((moved["fall"] - moved["fall_exact"]) / moved["fall_error"]),
            5.0,
        ),
        *(
            at_most(
                f"{context}: standard error of the falls, as a share (largest)",
                largest((moved["fall_error"] / moved["fall_exact"])[moved["context"] == context]),
                bound,
            )
            for context, bound in (("same", 0.006), ("fresh", 0.03))
        ),
        *approach(table),
        *small_agreement(table),
        at_most(
            "same context: each slower decay ends lower, by at least 2% (largest ratio)",
            (last[1:] / last[:-1]).max(),
            0.98,
        ),
        at_least(
            f"fresh contexts: with decay {overfit.index[-1]:g} the end lies at least 1% above the least",
            overfit.iloc[-1],
            1.01,
        ),
        at_most(
            f"fresh contexts: with decay {overfit.index[0]:g} the end is the least, to 0.05%",
            overfit.iloc[0],
            1.0005,
        ),
        at_least("no path beats the best filter of as many steps (smallest ratio)", above.min(), 1.0 - 1e-12),
        at_most(
            "where its lengths are real, walking them reaches the best filter's risk (largest miss)",
            largest(floor["missed"].dropna()),
            1e-9,
        ),
        at_most(
            f"fresh contexts: the limit promises less than the truth at d = {config.dim} (largest ratio)",
            (limit["risk"] / limit["risk_exact"]).max(),
            1.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the risk against the number of steps in both readings."""
    figure, (left, right) = plots.new_figure(2, height=4.7)
    shades = plots.ordered_colours(len(config.decays))
    shifts = np.linspace(-0.15, 0.15, len(config.decays))  # so that error bars do not hide each other
    for axes, context in ((left, "same"), (right, "fresh")):
        shown = table[table["context"] == context]
        for decay, colour, marker, shift in zip(config.decays, shades, plots.MARKERS, shifts, strict=False):
            rows = shown[shown["decay"] == decay]
            curve, points, limit = (rows[rows["kind"] == kind] for kind in ("exact", "simulated", "limit"))
            plots.draw_exact(axes, curve["step"], curve["risk"], colour=colour)
            plots.draw_limit(axes, limit["step"], limit["risk"], colour=colour)
            plots.draw_measured(
                axes,
                points["step"] + (shift if axes is right else 0.0),
                points["risk"],
                2 * points["error"],
                colour=colour,
                marker=marker,
            )
        floor = shown[shown["kind"] == "floor"]
        plots.draw_reference(axes, floor["step"], floor["risk"])
        axes.set_xticks(range(config.n_steps + 1))
    left.set_ylim(bottom=0.0)
    labels = [f"{decay:g}" for decay in config.decays]
    plots.parameter_legend(left, "decay of the step length", labels, shades, loc="upper right")
    setting = _setting(config, config.dim)
    title = f"Same context (d = {config.dim}, n = {setting.n_context}, k = {setting.n_train})"
    plots.name_axes(left, x="steps", y="risk / signal", title=title)
    plots.name_axes(right, x="steps", title="Fresh contexts: long paths over-fit (own scale)")
    plots.explain(
        figure,
        [
            (
                "exact",
                "theory, exact: several_steps in docs/theory/linear; the first step is the best single one "
                "in that reading",
            ),
            ("limit", "limit of large n, k, d: several_steps_fresh_limit"),
            simulation_note(config.n_designs, "; twice as many on the right"),
            ("reference", "exact: the least any path of as many steps can reach (best_filter)"),
        ],
    )
    return figure


FIGURE = Figure(
    name="linear-steps",
    title="Several steps with decaying lengths, judged on the same context and on fresh ones",
    source="Gozeten et al. (2025), Fig. 2c",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
