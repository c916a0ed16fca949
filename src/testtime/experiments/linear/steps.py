"""Several steps with decaying lengths: exact on the context they were taken on, a limit on fresh ones."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import agreement, at_least, at_most
from testtime.experiments.drawing import simulation_note
from testtime.experiments.figure import Figure
from testtime.experiments.linear.simulation import Population, simulate_steps
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
        Ratio of each step length to the one before; the first is the best single step on the same context.
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
    n_designs: int = 100
    n_tasks: int = 256
    seed: int = 20250306

    @classmethod
    def quick(cls) -> Config:
        """Return a smaller dimension and fewer designs."""
        return cls(dim=100, n_designs=60, n_tasks=128)


def cells(config: Config) -> list[Cell]:
    """One cell of theory, one of simulation for each way to judge; all decays are run on the same rows."""
    return [{"id": "theory"}, *({"id": f"simulation {one}", "context": one} for one in ("same", "fresh"))]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the theory of all paths, or all simulated paths judged in one way."""
    setting = _setting(config)
    first = 2.0 * one_step(setting, context="same", step="normalized").best_step
    if cell["id"] == "theory":
        return _theory(config, setting, first)
    rows = []
    for decay in config.decays:
        lengths = decayed(first, decay, config.n_steps)
        risks = simulate_steps(
            Population(np.full(config.dim, config.dim**-0.5), np.ones(config.dim), config.noise_var),
            pretrained_weight(setting),
            setting.n_context,
            setting.n_train,
            lengths,
            fresh=cell["context"] == "fresh",
            n_designs=config.n_designs,
            n_tasks=config.n_tasks,
            seed=seed,
        )
        errors = risks.std(axis=1, ddof=1) / np.sqrt(config.n_designs)
        if cell["context"] == "same":
            kind, expected = "simulated", several_steps(setting, lengths).risks
        else:  # the fresh theory is a limit, which the simulation need not equal
            kind, expected = "simulated fresh", several_steps_fresh_limit(setting, lengths).risks
        rows += [
            {"kind": kind, "decay": decay, "step": step, "risk": risk, "error": error, "exact": theory}
            for step, (risk, error, theory) in enumerate(
                zip(risks.mean(axis=1), errors, expected, strict=True)
            )
        ]
    return rows


def _setting(config: Config) -> Setting:
    return Setting(
        round(config.context_ratio * config.dim),
        round(config.train_ratio * config.dim),
        dim=config.dim,
        task_cov=1.0 / config.dim,
        task=1.0,
        noise_var=config.noise_var,
    )


def _theory(config: Config, setting: Setting, first: float) -> list[dict]:
    rows = []
    for decay in config.decays:
        lengths = decayed(first, decay, config.n_steps)
        for kind, found in (
            ("exact", several_steps(setting, lengths)),
            ("limit", several_steps_fresh_limit(setting, lengths)),
        ):
            where = {"kind": kind, "decay": decay}
            rows += [where | {"step": step, "risk": risk} for step, risk in enumerate(found.risks)]
    floor = [best_filter(setting, steps).risk for steps in range(config.n_steps + 1)]
    rows += [{"kind": "floor", "step": step, "risk": risk} for step, risk in enumerate(floor)]
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """On the same context slow decay is best; on fresh contexts it over-fits and fast decay does not."""
    same = table[table["kind"] == "simulated"].pivot(index="step", columns="decay", values="risk")
    fresh = table[table["kind"] == "simulated fresh"].pivot(index="step", columns="decay", values="risk")
    last = same.iloc[-1].sort_index().to_numpy()
    overfit = (fresh.iloc[-1] / fresh.min()).sort_index()
    points = table[table["kind"] == "simulated fresh"]
    distance = (points["risk"] / points["exact"] - 1.0).abs().max()
    exact = table[table["kind"] == "exact"].pivot(index="step", columns="decay", values="risk")
    floor = table[table["kind"] == "floor"].set_index("step")["risk"]
    return [
        *agreement(table),
        at_most(
            f"on fresh contexts the limit lies within 6% of the simulation at d = {config.dim}",
            distance,
            0.06,
        ),
        at_most(
            "same context, simulated: each slower decay ends lower, by at least 2% (largest ratio)",
            (last[1:] / last[:-1]).max(),
            0.98,
        ),
        at_least(
            f"fresh contexts, simulated: with decay {overfit.index[-1]:g} the end is 1% above the least",
            overfit.iloc[-1],
            1.01,
        ),
        at_most(
            f"fresh contexts, simulated: with decay {overfit.index[0]:g} it is within 0.3% of it",
            overfit.iloc[0],
            1.003,
        ),
        at_least(
            "no path on the same context beats the best filter with as many steps (smallest ratio)",
            exact.div(floor, axis="index").min(axis=None),
            1.0 - 1e-12,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the risk against the number of steps, judged on the same context and on fresh ones."""
    figure, (left, right) = plots.new_figure(2, height=4.7)
    shades = plots.ordered_colours(len(config.decays))
    shifts = np.linspace(-0.15, 0.15, len(config.decays))  # so that error bars do not hide each other
    for decay, colour, marker, shift in zip(config.decays, shades, plots.MARKERS, shifts, strict=False):
        rows = table[table["decay"] == decay]
        for axes, theory, simulated in ((left, "exact", "simulated"), (right, "limit", "simulated fresh")):
            curve, points = rows[rows["kind"] == theory], rows[rows["kind"] == simulated]
            line = plots.draw_exact if theory == "exact" else plots.draw_limit
            line(axes, curve["step"], curve["risk"], colour=colour)
            plots.draw_measured(
                axes,
                points["step"] + (shift if axes is right else 0.0),
                points["risk"],
                2 * points["error"],
                colour=colour,
                marker=marker,
            )
    floor = table[table["kind"] == "floor"]
    plots.draw_reference(left, floor["step"], floor["risk"])
    left.set_ylim(bottom=0.0)
    right.set_xticks(range(config.n_steps + 1))
    labels = [f"{decay:g}" for decay in config.decays]
    plots.parameter_legend(left, "decay of the step length", labels, shades, loc="upper right")
    setting = _setting(config)
    title = f"Same context (d = {config.dim}, n = {setting.n_context}, k = {setting.n_train})"
    plots.name_axes(left, x="steps", y="risk / signal", title=title)
    plots.name_axes(right, x="steps", title="Fresh contexts: long paths over-fit (own scale)")
    plots.explain(
        figure,
        [
            (
                "exact",
                "theory, exact: several_steps in docs/theory/linear; the first step is the best single one",
            ),
            ("limit", "limit of large n, k, d: several_steps_fresh_limit in docs/theory/linear"),
            simulation_note(config.n_designs),
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
