"""What one step of weak recovery finds: teacher labels against true labels, alone and end to end."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import curves, shares
from testtime.experiments.figure import Figure
from testtime.experiments.single_index.measures import LINKS, bench, draw_tasks, three_stages
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell
from testtime.single_index.weak_recovery import weak_recovery
from testtime.tasks.single_index import SingleIndexFamily

__all__ = ["FIGURE", "Config"]

STUDENTS = {
    "random": "no step: random start",
    "labels": "ReLU student, true labels",
    "distill": "ReLU student, distilled",
    "attention-labels": "attention student, true labels",
    "attention": "attention student, distilled",
    "spectral": "spectral, distilled",
}

PIPELINES = {
    "random": {"weak": "random", "strong": "sgd"},
    "labels": {"weak": "labels", "strong": "sgd"},
    "distill": {"weak": "distill", "strong": "sgd"},
    "newton, random": {"weak": "random", "strong": "newton", "n_restarts": 0},
    "newton, default": {},
    "paper": {"recipe": "paper"},
}
LABELS = {
    "random": "SGD from a random start",
    "labels": "SGD after a step on labels",
    "distill": "SGD after distillation",
    "newton, random": "Gauss-Newton, one random start",
    "newton, default": "Gauss-Newton, default starts",
    "paper": "the literal recipe",
}
SUCCESS = 0.95
_BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}


@dataclass(frozen=True)
class Config:
    """One step in r = d dimensions with 8 r^2 rows, and whole pipelines at one r.

    Attributes
    ----------
    ranks
        Dimensions r; the step sees r inputs, as after the projection on the pretrained subspace.
    max_rows
        Largest number of rows of the step.
    n_tasks
        Tasks for each r and link.
    n_queries
        Unlabelled queries of the teacher.
    rank, n_rows, n_end_to_end
        Hidden dimension, rows and tasks of the pipelines.
    n_prompts
        Prompts of pretraining for the pipelines.
    seed
        Root seed.
    """

    ranks: tuple[int, ...] = (4, 8, 16, 32)
    max_rows: int = 2048
    n_tasks: int = 80
    n_queries: int = 2000
    rank: int = 16
    n_rows: tuple[int, ...] = (64, 128, 256, 512, 1024)
    n_end_to_end: int = 48
    n_prompts: int = 8000
    seed: int = 20250927

    @classmethod
    def quick(cls) -> Config:
        """Return fewer tasks and sizes."""
        return cls(
            ranks=(4, 32), n_tasks=12, n_queries=1000, n_rows=(128, 512), n_end_to_end=24, n_prompts=1000
        )


def cells(config: Config) -> list[Cell]:
    """One cell for each link and r, and one for each N of the pipelines."""
    steps = [
        {"id": f"step {link} r={rank}", "kind": "step", "link": link, "rank": rank}
        for link in ("varying", "even")
        for rank in config.ranks
    ]
    return steps + [{"id": f"pipeline N={n}", "kind": "pipeline", "n_rows": n} for n in config.n_rows]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Measure overlaps after one step, or the results of whole pipelines."""
    return _step(config, cell, seed) if cell["kind"] == "step" else _pipelines(config, cell, seed)


def _step(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    rank = cell["rank"]
    n = min(8 * rank**2, config.max_rows)
    family = SingleIndexFamily.create(rank, rank, seed=seed.spawn(1)[0], link=LINKS[cell["link"]])
    rows = []
    for child in seed.spawn(config.n_tasks):
        task_seed, train_seed, start_seed = child.spawn(3)
        task = family.draw(task_seed)
        X, y = task.sample(n, train_seed)
        for student in STUDENTS:
            found = weak_recovery(
                X,
                (y - y.mean()) / y.std(),
                0.35 * np.eye(rank),
                kind=student,
                n_queries=config.n_queries,
                rng=np.random.default_rng(start_seed),  # every student starts at the same random direction
            )
            row = {"kind": "step", "link": cell["link"], "rank": rank, "method": student}
            rows.append(row | {"overlap": task.overlap(found.direction)})
    return rows


def _pipelines(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    n = cell["n_rows"]
    setup = bench(config.rank, config.rank, seed=config.seed, n_prompts=config.n_prompts)
    drawn = draw_tasks(setup.family, config.n_end_to_end, n, seed)
    rows = []
    for name, params in PIPELINES.items():
        if (
            name != "paper" or n >= 256
        ):  # four disjoint segments of fewer rows do not outnumber the parameters
            models = three_stages(drawn, subspace=setup.pretrained.subspace, **params)
            rows += drawn.score(name, models, kind="pipeline", n_rows=n)
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Distillation wins for the ReLU student and not for the attention student; refitting wins more."""
    steps = table[table["kind"] == "step"].groupby(["link", "rank", "method"])["overlap"].mean()
    high, low = max(config.ranks), min(config.ranks)
    factor, rise = (2.5, 0.2) if config.n_tasks >= 40 else (2.0, 0.1)  # few tasks: wider margins
    odd = steps["varying"]
    whole = table[table["kind"] == "pipeline"]
    success = (whole["overlap"] > SUCCESS).groupby([whole["method"], whole["n_rows"]]).mean()
    few = 128
    return [
        at_least(
            f"r = {high}, h3 + c h4: a distilled step has at least {factor:g} times the overlap of a labelled one",
            odd[high]["distill"] / odd[high]["labels"],
            factor,
        ),
        at_least(
            f"the advantage of distillation grows from r = {low} to r = {high} by {rise:g} or more",
            (odd[high]["distill"] - odd[high]["labels"]) - (odd[low]["distill"] - odd[low]["labels"]),
            rise,
        ),
        at_most(
            f"r = {high}: the attention student gains at most a third of what the ReLU student gains",
            (odd[high]["attention"] - odd[high]["attention-labels"])
            / (odd[high]["distill"] - odd[high]["labels"]),
            1 / 3,
        ),
        at_least(
            f"even link, r = {high}: the spectral student has at least 1.5 times the overlap of a ReLU step",
            steps["even"][high]["spectral"] / steps["even"][high]["distill"],
            1.5,
        ),
        at_least(
            f"end to end, r = {config.rank}, N = {few}: distillation raises the success of SGD (difference)",
            success["distill"][few] - success["random"][few],
            rise,
        ),
        at_least(
            f"end to end, r = {config.rank}, N = {few}: the default finds the direction in 95% of tasks",
            success["newton, default"][few],
            0.95,
        ),
        at_most(
            f"the literal recipe (four segments, fixed random activation, step 0.05) succeeds in at most 20%, "
            f"N = {max(config.n_rows)}",
            success["paper"][max(config.n_rows)],
            0.2,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw overlap against r for two links, and success of whole pipelines against N."""
    figure, (odd, even, whole) = plots.new_figure(3, height=5.8, width=12.5)
    shades = (plots.GREY, *plots.colours(5))
    steps = table[table["kind"] == "step"]
    names = list(STUDENTS)
    for axes, link, title, explained in (
        (odd, "varying", "One step: h₃ + c h₄", names[:3]),
        (even, "even", "One step: h₄", names[3:]),
    ):
        grouped = steps[steps["link"] == link].groupby(["rank", "method"])["overlap"]
        error = 2 * grouped.std() / np.sqrt(grouped.size())
        curves(axes, grouped.mean().unstack(), STUDENTS, shades, error.unstack())
        plots.log_axis(axes, "x", config.ranks)
        axes.set_ylim(0, 1.02)
        plots.name_axes(axes, x="dimension r, with 8r² rows (2,048 at most)", title=title)
        handles = dict(zip(names, axes.get_legend_handles_labels()[0], strict=True))
        axes.legend([handles[n] for n in explained], [STUDENTS[n] for n in explained], **_BELOW)
    odd.set_ylabel("overlap with the true direction")
    pipelines = table[table["kind"] == "pipeline"]
    keys = [pipelines["n_rows"], pipelines["method"]]
    shares(whole, pipelines["overlap"] > SUCCESS, keys, LABELS, shades)
    plots.log_axis(whole, "x", config.n_rows)
    whole.set_ylim(-0.03, 1.03)
    plots.name_axes(
        whole,
        x="labelled rows, N",
        y=f"share of tasks with overlap above {SUCCESS:g}",
        title=f"Whole pipelines, r = d = {config.rank}",
    )
    whole.legend(**_BELOW)
    plots.explain(
        figure,
        [
            (
                "measured",
                f"experiment; left and middle: mean over {config.n_tasks} tasks ± 2 standard errors, "
                f"right: share of {config.n_end_to_end} tasks ± 2 standard errors",
            ),
        ],
    )
    return figure


FIGURE = Figure(
    name="single-index-stage1",
    title="Weak recovery with and without self-distillation",
    source="Kuwataka and Suzuki (2026), stage I",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
