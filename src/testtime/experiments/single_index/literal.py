"""The paper's recipe to the letter, at sizes where it can work, and how many rows one step of stage I needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import INTERVAL, median_curves, shares
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import LINKS, TaskBlocks, draw_tasks
from testtime.experiments.single_index.rates import rows_exponent, rows_needed
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.single_index.literal import literal_stages
from testtime.single_index.pretrain import pretrain_family, subspace_overlap
from testtime.single_index.weak_recovery import weak_recovery
from testtime.tasks.single_index import SingleIndexFamily

__all__ = ["FIGURE", "Config"]

Array = NDArray[np.float64]

FAMILIES = {"low": "0.8 h₁ + 0.6 h₂", "square": "h₂", "varying": "h₃ + c h₄"}
ENDS = {
    "square, attention": "h₂, attention student",
    "square, random": "h₂, without stage I",
    "low, attention": "0.8 h₁ + 0.6 h₂, attention student",
    "varying, attention": "h₃ + c h₄, attention student",
}
STEPS = {
    "distill": "ReLU student, distilled",
    "attention": "attention student, distilled",
    "matched": "true labels, matched activation h₃",
}
SUCCESS = 0.95
TARGET = 0.7
"""Median overlap that one step has to reach in the right panel."""


@dataclass(frozen=True)
class Config(TaskBlocks):
    """The literal stages in r of d dimensions, and single steps in r = d dimensions.

    Attributes
    ----------
    dim
        Inputs d of the literal stages.
    n_rows
        Labelled rows N of the literal stages, over all four segments.
    strong_steps
        Step sizes of stage II; the best one at each N is drawn.
    ranks
        Dimensions r of the single steps.
    max_rows, max_attention_rows
        Rows of the single steps are doubled until the target is reached, at most to these.
    n_step_tasks
        Tasks of the single steps, for each r.
    seed
        Root seed.
    """

    dim: int = 8
    n_rows: tuple[int, ...] = (512, 1024, 2048, 4096, 8192, 16384)
    strong_steps: tuple[float, ...] = (0.03, 0.01, 0.003)
    n_tasks: int = 30
    block: int = 30
    ranks: tuple[int, ...] = (8, 12, 16, 24, 32)
    max_rows: int = 131_072
    max_attention_rows: int = 8192
    n_step_tasks: int = 60
    seed: int = 20251003

    @classmethod
    def quick(cls) -> Config:
        """Return fewer sizes and tasks."""
        return cls(
            n_rows=(512, 2048, 8192),
            strong_steps=(0.01,),
            n_tasks=12,
            block=12,
            ranks=(8, 16, 24),
            max_attention_rows=1024,
            n_step_tasks=32,
        )


def cells(config: Config) -> list[Cell]:
    """One cell for each link of the literal stages, and one for each kind of single step and r."""
    ends = [{"id": f"literal {link}", "link": link} for link in FAMILIES]
    steps = [
        {"id": f"step {kind} r={rank}", "kind": kind, "rank": rank} for kind in STEPS for rank in config.ranks
    ]
    return ends + steps


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Pretrain and run the literal stages on one link, or take single steps until they reach the target."""
    return _literal(config, cell["link"], seed) if "link" in cell else _steps(config, cell, seed)


def _literal(config: Config, link: str, seed: np.random.SeedSequence) -> list[dict]:
    family_seed, prompt_seed, tasks_seed = seed.spawn(3)
    family = SingleIndexFamily.create(config.dim, config.rank, seed=family_seed, link=LINKS[link])
    found = pretrain_family(
        family, recipe="paper", n_prompts=config.n_prompts, seed=int(prompt_seed.generate_state(1)[0])
    )
    gamma = found.step / np.linalg.norm(found.step)  # the norm of P_r / sqrt(r), the paper's Gamma*
    overlap = subspace_overlap(found.subspace, family.subspace)
    rows = [{"kind": "pretraining", "link": link, "shared": overlap, "sign": found.sign}]
    for n, child in zip(config.n_rows, tasks_seed.spawn(len(config.n_rows)), strict=True):
        drawn = draw_tasks(family, config.n_tasks, n, child)
        for student in ("attention", "random"):
            for step in config.strong_steps:
                models = [
                    literal_stages(
                        X, y, gamma, student=student, strong_step=step, rng=np.random.default_rng([n, t])
                    )
                    for t, (X, y) in enumerate(zip(drawn.X, drawn.y, strict=True))
                ]
                scored = drawn.score(f"{link}, {student}", [model.predict for model in models], n_rows=n)
                for t, (row, task, model) in enumerate(zip(scored, drawn.tasks, models, strict=True)):
                    more = {"kind": "end", "step_size": step, "task": t}
                    rows.append(row | more | {"weak": task.overlap(model.weak)})
    return rows


def _steps(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    kind, rank = cell["kind"], cell["rank"]
    family_seed, tasks_seed = seed.spawn(2)
    family = SingleIndexFamily.create(rank, rank, seed=family_seed)
    children = tasks_seed.spawn(config.n_step_tasks)
    most = config.max_attention_rows if kind == "attention" else config.max_rows
    rows, n, beyond = [], 8, 0
    # One size more than is needed, so that resampled tasks reach the target, too.
    while n <= most and beyond < 2:
        overlaps = [_one_step(family, kind, n, child) for child in children]
        rows += [
            {"kind": "step", "method": kind, "rank": rank, "n_rows": n, "task": t, "overlap": overlap}
            for t, overlap in enumerate(overlaps)
        ]
        beyond += np.median(overlaps) >= TARGET
        n *= 2
    return rows


def _one_step(family: SingleIndexFamily, kind: str, n_rows: int, seed: np.random.SeedSequence) -> float:
    task_seed, rows_seed, start_seed = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key).spawn(3)
    task, rng = family.draw(task_seed), np.random.default_rng(start_seed)
    X, y = task.sample(n_rows, rows_seed)
    labels = (y - y.mean()) / y.std()
    if kind == "matched":
        start = rng.standard_normal(family.rank)
        z = X @ (start / np.linalg.norm(start))
        return task.overlap((labels * (z**2 - 1.0)) @ X)  # the slope of h3 is a multiple of z^2 - 1
    found = weak_recovery(X, labels, 0.35 * np.eye(family.rank), kind=kind, n_queries=2000, rng=rng)
    return task.overlap(found.direction)


def _best(table: pd.DataFrame) -> pd.DataFrame:
    """Keep, for each method and N, the step size of stage II with the most directions found."""
    ends = table[table["kind"] == "end"]
    hits = (
        (ends["overlap"] > SUCCESS)
        .groupby([ends["method"], ends["n_rows"], ends["step_size"]])
        .mean()
        .unstack()
    )
    best = hits.idxmax(axis=1).rename("best")
    joined: Any = ends.merge(best.reset_index(), on=["method", "n_rows"])
    return joined[joined["step_size"] == joined["best"]]


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """The literal recipe works for links of low degree and enough rows, not for cubic ones; powers of r differ."""
    ends = _best(table)
    success = (ends["overlap"] > SUCCESS).groupby([ends["method"], ends["n_rows"]]).mean()
    shared = table[table["kind"] == "pretraining"].set_index("link")["shared"]
    steps = table[table["kind"] == "step"]
    fitted = {kind: rows_exponent(steps[steps["method"] == kind], TARGET) for kind in ("distill", "matched")}
    weak = ends.groupby(["method", "n_rows"])["weak"].median()
    return [
        at_least(
            "one literal step of pretraining finds the subspace: h1 and h2 (overlap)", shared["low"], 0.97
        ),
        at_most("and not for h3 + c h4, with as many prompts (overlap)", shared["varying"], 0.9),
        at_least(
            "literal recipe, h1 and h2, N = 8192: share of tasks with the direction found (overlap > 0.95)",
            success["low, attention"][8192],
            0.8,
        ),
        at_least("literal recipe, h2, N = 8192: the same", success["square, attention"][8192], 0.8),
        at_most(
            "literal recipe, h3 + c h4: the same, at every N (largest)",
            success["varying, attention"].max(),
            0.2,
        ),
        at_least(
            "literal recipe, h2, N = 8192: median overlap after the attention student's step, against without",
            weak["square, attention"][8192] / weak["square, random"][8192],
            1.3,
        ),
        at_least(
            f"rows for a median overlap of {TARGET:g} after one step: power of r for true labels (lower end, 95%)",
            fitted["matched"][1][0],
            2.2,
        ),
        at_most(
            "and for the distilled ReLU student (upper end of the 95% interval)", fitted["distill"][1][1], 3.2
        ),
        at_least(
            "true labels need a higher power of r than distilled ones (difference of the fits)",
            fitted["matched"][0] - fitted["distill"][0],
            0.4,
        ),
        at_least(
            f"r = {max(config.ranks)}: true labels with a matched activation need 4 times the rows of distilled ones",
            rows_needed(steps[steps["method"] == "matched"], TARGET)[max(config.ranks)]
            / rows_needed(steps[steps["method"] == "distill"], TARGET)[max(config.ranks)],
            4.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw success and error of the literal recipe against N, and the rows of one step against r."""
    figure, (left, middle, right) = plots.new_figure(3, width=13.5, height=5.4)
    ends, shades = _best(table), plots.colours(4)
    shares(left, ends["overlap"] > SUCCESS, [ends["n_rows"], ends["method"]], ENDS, shades)
    median_curves(middle, ends, "n_rows", "method", ENDS, shades)
    for axes, title in ((left, "Direction found"), (middle, "Prediction")):
        plots.log_axis(axes, "x", config.n_rows)
        plots.name_axes(axes, x="labelled rows, N, in four segments", title=title)
    left.set_title(f"Literal recipe, r = {config.rank} of d = {config.dim}")
    left.set_ylim(-0.03, 1.03)
    left.set_ylabel(f"share of tasks with overlap above {SUCCESS:g}")
    middle.set_ylabel("squared error to the noise-free function")
    plots.log_axis(middle, "y", [0.01, 0.03, 0.1, 0.3, 1.0])
    steps = table[table["kind"] == "step"]
    for (kind, label), colour, marker in zip(STEPS.items(), plots.colours(3), plots.MARKERS, strict=False):
        own = steps[steps["method"] == kind]
        needed = rows_needed(own, TARGET).dropna()
        power, (low, high) = rows_exponent(own, TARGET)
        said = f"{label}: power {power:.1f} ({low:.1f} to {high:.1f})" if power == power else label
        plots.draw_measured(right, needed.index, needed, colour=colour, label=said, marker=marker, join=True)
    plots.log_axis(right, "x", config.ranks)
    plots.log_axis(right, "y", [32, 128, 512, 2048, 8192, 32768])
    plots.name_axes(
        right, x="dimension r", y=f"rows for a median overlap of {TARGET:g}", title="One step, h₃ + c h₄"
    )
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))
    text = (
        f"experiment: left, share of {config.n_tasks} tasks ± 2 standard errors; middle, median, {INTERVAL}; right, "
        f"{config.n_step_tasks} tasks, 95% intervals of the fitted power from resampling them"
    )
    plots.explain(figure, [("measured", text)])
    return figure


FIGURE = Figure(
    name="single-index-literal",
    title="The literal recipe, and the rows that one step needs",
    source="Kuwataka and Suzuki (2026), the three stages; rebuilt without the full text",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
