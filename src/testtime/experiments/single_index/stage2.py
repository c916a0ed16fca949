"""How fast the direction sharpens in stage II: online SGD and its drift, refitted links, Gauss-Newton."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial, sqrt
from typing import cast

import matplotlib.figure
import numpy as np
import pandas as pd
from numpy.polynomial import hermite_e
from numpy.typing import NDArray
from scipy.stats import chi2

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import INTERVAL, curves, median_curves, medians
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.rates import fitted_exponent, samples_to_reach
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.single_index.strong_recovery import profile_newtons, profile_sgd, random_network
from testtime.tasks.links import HermiteLink
from testtime.tasks.single_index import SingleIndexFamily, SingleIndexTask

__all__ = ["FIGURE", "Config", "drift", "online_paths"]

Array = NDArray[np.float64]
Slope = Callable[[Array], Array]

REFITTED = {
    "newton": "Gauss-Newton, link refitted (default)",
    "sgd": "one pass of SGD, link refitted",
}
SUCCESS_ROWS = 64
"""The power of N is fitted from here on: with fewer rows some tasks have not found their direction."""


@dataclass(frozen=True)
class Config:
    """Tasks in r = d dimensions, all started at the same overlap with the true direction.

    Attributes
    ----------
    rank, start
        Dimensions r, and the overlap at the start: what stage I leaves.
    n_samples
        Samples of the online runs.
    step_sizes
        Of online SGD with the true link as activation.
    network_steps
        Of online SGD with a fixed random network, the literal recipe.
    n_rows
        Rows of the methods that refit the link.
    noise, n_tasks, seed
        Size of the two-point noise, tasks, root seed.
    """

    rank: int = 4
    start: float = 0.7
    n_samples: int = 131_072
    step_sizes: tuple[float, ...] = (1e-3, 3e-4, 1e-4)
    network_steps: tuple[float, ...] = (0.05, 0.01, 0.001)
    n_rows: tuple[int, ...] = (12, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
    noise: float = 0.1
    n_tasks: int = 48
    seed: int = 20251001

    @classmethod
    def quick(cls) -> Config:
        """Return fewer tasks and samples."""
        return cls(n_samples=32_768, n_rows=(12, 16, 32, 64, 128, 256, 512, 1024, 4096), n_tasks=20)

    @property
    def marks(self) -> list[int]:
        """Numbers of samples after which an online run is looked at."""
        powers = range(10, 2 * self.n_samples.bit_length() - 1)
        return [round(2 ** (power / 2)) for power in powers]


def cells(config: Config) -> list[Cell]:
    """One cell: all methods see the same tasks, starts and rows."""
    return [{"id": "all"}]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Return the overlap of every task after so many samples of each method, the drift and the bound."""
    family_seed, task_seed, rows_seed, network_seed = seed.spawn(4)
    family = SingleIndexFamily.create(config.rank, config.rank, seed=family_seed, noise=config.noise)
    tasks = [family.draw(child) for child in task_seed.spawn(config.n_tasks)]
    rng = np.random.default_rng(rows_seed)
    most = max(config.n_samples, *config.n_rows)
    X = rng.standard_normal((config.n_tasks, most, config.rank))
    means = np.stack([task.mean(rows) for task, rows in zip(tasks, X, strict=True)])
    y = means + config.noise * rng.choice((-1.0, 1.0), means.shape)
    truth = np.stack([task.direction for task in tasks])
    starts = _starts(truth, config.start, rng)
    slopes = _powers(tasks)
    rows = []

    def add(found: Array, sizes: Sequence[int], **where: object) -> None:
        rows.extend(
            {"kind": "task", **where, "n_rows": size, "task": t, "overlap": float(value)}
            for size, overlaps in zip(sizes, found, strict=True)
            for t, value in enumerate(overlaps)
        )

    def matched(z: Array) -> Array:
        return np.asarray(np.polynomial.polynomial.polyval(z, slopes.T, tensor=False), dtype=np.float64)

    networks = [random_network(64, np.random.default_rng(child)) for child in network_seed.spawn(len(tasks))]
    signs, biases = (np.stack(part) for part in zip(*networks, strict=True))

    def fixed(z: Array) -> Array:
        return np.asarray((signs * (signs * z[:, None] + biases > 0)).mean(axis=1), dtype=float)

    for slope, method, sizes in (
        (matched, "online, link", config.step_sizes),
        (fixed, "online, network", config.network_steps),
    ):
        for size in sizes:
            paths = online_paths(X, y, starts, slope, size, config.marks)
            overlap = np.abs(np.einsum("mtd,td->mt", paths, truth))
            add(overlap, config.marks, method=method, step_size=size)
    for size in config.step_sizes:
        along = drift(tasks, config.start, size, config.marks)
        rows += [
            {"kind": "drift", "step_size": size, "n_rows": n, "missed": float(np.median(1.0 - m))}
            for n, m in zip(config.marks, along, strict=True)
        ]
    for n in config.n_rows:
        first, labels = X[:, :n], y[:, :n]
        none = {"n_restarts": 0, "rng": np.random.default_rng(0)}
        newton = [stage.directions for stage in profile_newtons(first, labels, starts[:, None, None], **none)]
        sgd = [
            profile_sgd(*one, start[None], epochs=1).directions
            for *one, start in zip(first, labels, starts, strict=True)
        ]
        for method, found in (("newton", newton), ("sgd", sgd)):
            add(
                np.array([[task.overlap(u) for task, u in zip(tasks, found, strict=True)]]),
                [n],
                method=method,
            )
        rows.append({"kind": "bound", "n_rows": n, "missed": _bound(tasks, config, n)})
    return rows


def online_paths(
    X: Array, y: Array, starts: Array, slope: Slope, step_size: float, marks: Sequence[int]
) -> Array:
    """Run :func:`testtime.single_index.strong_recovery.online_sgd` for many tasks side by side.

    Parameters
    ----------
    X, y
        Rows in the order they arrive, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`.
    starts
        Unit directions, shape `(n_tasks, dim)`.
    slope
        Derivative of each task's activation at one projection each, shapes `(n_tasks,)` to `(n_tasks,)`.
    step_size
        Step per row.
    marks
        Numbers of rows after which the directions are kept, ascending.

    Returns
    -------
    Array
        Directions at the marks, shape `(n_marks, n_tasks, dim)`.
    """
    u, kept = starts.copy(), []
    for row in range(marks[-1]):
        x = X[:, row]
        z = np.einsum("td,td->t", x, u)
        u = u + (step_size * y[:, row] * slope(z))[:, None] * (x - z[:, None] * u)
        u /= np.sqrt(np.einsum("td,td->t", u, u))[:, None]
        if row + 1 == marks[len(kept)]:
            kept.append(u)
    return np.stack(kept)


def drift(tasks: Sequence[SingleIndexTask], start: float, step_size: float, marks: Sequence[int]) -> Array:
    r"""Overlap m when every step is its own mean and the activation is the link: shape `(n_marks, n_tasks)`.

    .. math:: \frac{dm}{dt} = \eta\,(1-m^2)\sum_k k\,c_k^2\,m^{k-1}

    so that :math:`1-m` ends geometrically, at the rate :math:`2\eta\sum_k k c_k^2 = 2\eta\,E[s'^2]` per sample.
    """
    squares = np.array([_link(task).coefficients for task in tasks]) ** 2
    weights = np.arange(1, squares.shape[1]) * squares[:, 1:]
    m, kept = np.full(len(tasks), start), []
    for row in range(marks[-1]):
        pull = np.polynomial.polynomial.polyval(m, weights.T, tensor=False)
        m = m + step_size * (1.0 - m**2) * pull
        if row + 1 == marks[len(kept)]:
            kept.append(m)
    return np.stack(kept)


def _link(task: SingleIndexTask) -> HermiteLink:
    """Return the only link of a task, which its family drew by Hermite coefficients."""
    return cast("HermiteLink", task.links[0])


def _powers(tasks: Sequence[SingleIndexTask]) -> Array:
    """Return the coefficients in powers of z of the derivative of every task's link, `(n_tasks, degree)`."""
    rows = []
    for task in tasks:
        slope = _link(task).derivative().coefficients
        rows.append(hermite_e.herme2poly([c / sqrt(factorial(k)) for k, c in enumerate(slope)]))
    width = max(len(row) for row in rows)
    return np.stack([np.pad(row, (0, width - len(row))) for row in rows])


def _starts(truth: Array, overlap: float, rng: np.random.Generator) -> Array:
    """Return unit directions of a given overlap with the true ones, otherwise random."""
    outside = rng.standard_normal(truth.shape)
    outside -= np.einsum("td,td->t", outside, truth)[:, None] * truth
    outside /= np.linalg.norm(outside, axis=1, keepdims=True)
    return overlap * truth + sqrt(1.0 - overlap**2) * outside


def _bound(tasks: Sequence[SingleIndexTask], config: Config, n_rows: int) -> float:
    """Return the median of 1 - overlap when the link is known, first order in noise: tau^2 chi^2 / (2 N E s'^2)."""
    steep = [sum(k * c**2 for k, c in enumerate(_link(task).coefficients)) for task in tasks]
    freedom = float(chi2.median(config.rank - 1))
    return float(np.median([config.noise**2 * freedom / (2 * n_rows * value) for value in steep]))


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Online SGD with the true link falls at the rate of its drift, to a floor; refitting needs far fewer rows."""
    tasks = table[table["kind"] == "task"].assign(missed=lambda rows: 1.0 - rows["overlap"])
    online = medians(tasks[tasks["method"] == "online, link"], "n_rows", "step_size", "missed")
    moved = table[table["kind"] == "drift"].pivot(index="n_rows", columns="step_size", values="missed")
    network = tasks[tasks["method"] == "online, network"]
    fixed = network.groupby(["step_size", "n_rows"])["missed"].mean()
    refitted = tasks[tasks["method"] == "newton"]
    middle = medians(refitted, "n_rows", "method", "missed")["newton"]
    bound = table[table["kind"] == "bound"].set_index("n_rows")["missed"]
    low, high = min(config.step_sizes), max(config.step_sizes)
    floors = {size: online[size].iloc[-2:].mean() for size in (low, high)}
    _, interval = fitted_exponent(refitted[refitted["n_rows"] >= SUCCESS_ROWS], "missed")
    ratios = _rate(online[low]) / _rate(moved[low])
    return [
        at_most(
            f"link as activation, step {low:g}: 1 - overlap falls at the rate of its drift (|log2 of the ratio|)",
            abs(np.log2(ratios)),
            0.25,
        ),
        at_least(
            f"and ends at a floor that grows with the step: step {high:g} over step {low:g}",
            floors[high] / floors[low],
            2.0,
        ),
        at_least(
            "fixed random network: at no step and N is the mean of 1 - overlap below 0.6 of its start (least share)",
            fixed.min() / (1.0 - config.start),
            0.6,
        ),
        at_least(
            "Gauss-Newton: 1 - overlap falls with N at a power of at least 0.8 (lower end of the 95% interval)",
            interval[0],
            0.8,
        ),
        at_most("and of at most 1.8 (upper end)", interval[1], 1.8),
        at_most(
            f"Gauss-Newton, N = {max(config.n_rows)}: 1 - overlap over that of least squares that knows the link",
            middle.iloc[-1] / bound.iloc[-1],
            2.0,
        ),
        at_least(
            "online SGD needs at least 50 times the samples of Gauss-Newton for an overlap of 0.98",
            samples_to_reach(online.min(axis=1), 0.02) / samples_to_reach(middle, 0.02),
            50.0,
        ),
    ]


def _rate(missed: pd.Series) -> float:
    """Return the rate per sample at which 1 - overlap falls from 0.2 to 0.05, by interpolation of its logarithm."""
    return 1.0 / (samples_to_reach(missed, 0.05) - samples_to_reach(missed, 0.2))


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw 1 - overlap against samples for online SGD and for refitted links, and samples against accuracy."""
    figure, (left, middle, right) = plots.new_figure(3, width=13.5, height=5.2)
    tasks = table[table["kind"] == "task"].assign(missed=lambda rows: 1.0 - rows["overlap"])
    online, network = (tasks[tasks["method"] == f"online, {kind}"] for kind in ("link", "network"))
    shades = plots.ordered_colours(len(config.step_sizes))
    labels = {size: f"link as activation, step {size:g}" for size in config.step_sizes}
    median_curves(left, online, "n_rows", "step_size", labels, shades, "missed")
    for size, colour in zip(config.step_sizes, shades, strict=True):
        rows = table[(table["kind"] == "drift") & (table["step_size"] == size)]
        rows = rows[rows["missed"] > 1e-4]
        plots.draw_limit(left, rows["n_rows"], rows["missed"], colour=colour)
    warm = plots.ordered_colours(len(config.network_steps), "plasma")
    named = {size: f"fixed random network, step {size:g}" for size in config.network_steps}
    median_curves(left, network, "n_rows", "step_size", named, warm, "missed")
    refitted = tasks[tasks["method"].isin(list(REFITTED))]
    median_curves(middle, refitted, "n_rows", "method", REFITTED, plots.colours(2), "missed")
    bound = table[table["kind"] == "bound"]
    plots.draw_limit(middle, bound["n_rows"], bound["missed"], colour="black")
    wanted = np.geomspace(1e-6, 0.2, 40)
    best = {
        "newton": medians(refitted, "n_rows", "method", "missed")["newton"],
        "sgd": medians(refitted, "n_rows", "method", "missed")["sgd"],
        "online": medians(online, "n_rows", "step_size", "missed").min(axis=1),
    }
    reached = {name: [samples_to_reach(curve, eps) for eps in wanted] for name, curve in best.items()}
    names = REFITTED | {"online": "online SGD, link as activation, best step"}
    for (name, label), colour in zip(names.items(), plots.colours(3), strict=True):
        curves(right, pd.DataFrame({name: reached[name]}, index=wanted), {name: label}, [colour])
    for axes, title in (
        (left, f"Online SGD from overlap {config.start:g}, r = {config.rank}"),
        (middle, "Refitted links"),
    ):
        plots.log_axis(axes, "x", [32, 128, 512, 2048, 8192, 32768, 131072])
        plots.log_axis(axes, "y", [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0])
        plots.name_axes(axes, x="samples, N", title=title)
    left.set_ylim(1e-3, 0.6)
    left.set_ylabel("1 − overlap with the true direction")
    plots.log_axis(right, "x", [1e-6, 1e-4, 0.01, 0.1])
    plots.log_axis(right, "y", [32, 128, 512, 2048, 8192, 32768])
    right.invert_xaxis()
    plots.name_axes(right, x="ε", y="least N with 1 − overlap ≤ ε", title="Samples for an accuracy")
    for axes in (left, middle, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))
    text = f"experiment: median over {config.n_tasks} tasks; {INTERVAL}"
    limit = (
        "theory: left, drift without noise, rate 2η E s′²; middle, a known link: median τ²χ²(r−1)/(2N E s′²)"
    )
    plots.explain(figure, [("measured", text), ("limit", limit)])
    return figure


FIGURE = Figure(
    name="single-index-stage2",
    title="How fast the direction sharpens in stage II",
    source="Kuwataka and Suzuki (2026), stage II",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
