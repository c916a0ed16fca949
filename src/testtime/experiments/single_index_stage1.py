"""What one step of weak recovery finds: teacher labels against true labels, alone and end to end."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.grid import Cell, Figure
from testtime.experiments.single_index_measures import LINKS, bench, errors, task_seeds, three_stages
from testtime.report import plots
from testtime.results import Claim
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
        return cls(ranks=(4, 16, 32), n_tasks=16, n_rows=(128, 512), n_end_to_end=16, n_prompts=2000)


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
    for task_seed, train_seed, start_seed in task_seeds(seed, config.n_tasks):
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
            overlap = abs(float(found.direction @ task.direction))
            rows.append(
                {"kind": "step", "link": cell["link"], "rank": rank, "method": student, "overlap": overlap}
            )
    return rows


def _pipelines(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    setup = bench(config.rank, config.rank, seed=config.seed, n_prompts=config.n_prompts)
    rows = []
    for task_seed, train_seed, test_seed in task_seeds(seed, config.n_end_to_end):
        task = setup.family.draw(task_seed)
        X, y = task.sample(cell["n_rows"], train_seed)
        for name, params in PIPELINES.items():
            if name == "paper" and cell["n_rows"] < 256:
                continue  # its four disjoint segments leave fewer rows than parameters
            model = three_stages(X, y, subspace=setup.pretrained.subspace, **params)
            measured = {"overlap": task.overlap(model.directions_)} | errors(task, model.predict, test_seed)
            rows.append({"kind": "pipeline", "n_rows": cell["n_rows"], "method": name} | measured)
    return rows


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Distillation wins for the ReLU student and not for the attention student; refitting the link helps more."""
    steps = table[table["kind"] == "step"].groupby(["link", "rank", "method"])["overlap"].mean()
    high, low = max(config.ranks), min(config.ranks)
    odd = steps["varying"]
    whole = table[table["kind"] == "pipeline"]
    success = (whole["overlap"] > SUCCESS).groupby([whole["method"], whole["n_rows"]]).mean()
    few = 128
    found = [
        at_least(
            f"r = {high}, h3 + c h4: one distilled step has at least 2.5 times the overlap of one labelled step",
            odd[high]["distill"] / odd[high]["labels"],
            2.5,
        ),
        at_least(
            f"the advantage of distillation grows from r = {low} to r = {high} by 0.2 or more",
            (odd[high]["distill"] - odd[high]["labels"]) - (odd[low]["distill"] - odd[low]["labels"]),
            0.2,
        ),
        at_most(
            f"r = {high}: the attention student gains less than 0.1 from distillation",
            odd[high]["attention"] - odd[high]["attention-labels"],
            0.1,
        ),
        at_least(
            f"even link at r = {high}: the spectral student has at least 1.5 times the overlap of one ReLU step",
            steps["even"][high]["spectral"] / steps["even"][high]["distill"],
            1.5,
        ),
        at_least(
            f"end to end, r = {config.rank}, N = {few}: SGD succeeds more often after distillation (difference)",
            success["distill"][few] - success["random"][few],
            0.2,
        ),
        at_least(
            f"end to end, r = {config.rank}, N = {few}: the default finds the direction in 95% of tasks",
            success["newton, default"][few],
            0.95,
        ),
        at_most(
            f"a fixed random activation destroys weak recovery: the literal recipe succeeds in at most 20%, "
            f"N = {max(config.n_rows)}",
            success["paper"][max(config.n_rows)],
            0.2,
        ),
    ]
    return found


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw overlap against r for two links, and success of whole pipelines against N."""
    figure, (odd, even, whole) = plots.new_figure(3, height=5.0, width=12.5)
    shades = (plots.GREY, *plots.colours(5))
    steps = table[table["kind"] == "step"]
    for axes, link, title in ((odd, "varying", "One step: h₃ + c h₄"), (even, "even", "One step: h₄")):
        for (student, label), colour, marker in zip(STUDENTS.items(), shades, plots.MARKERS[:6], strict=True):
            rows = steps[(steps["link"] == link) & (steps["method"] == student)]
            grouped = rows.groupby("rank")["overlap"]
            error = 2 * grouped.std() / np.sqrt(grouped.size())
            mean = grouped.mean()
            plots.draw_measured(
                axes, mean.index, mean, error, colour=colour, marker=marker, label=label, join=True
            )
        plots.log_axis(axes, "x", config.ranks)
        axes.set_ylim(0, 1.02)
        plots.name_axes(axes, x="dimension r, with 8r² rows (2,048 at most)", title=title)
    odd.set_ylabel("overlap with the true direction")
    odd.legend(loc="upper center", bbox_to_anchor=(1.1, -0.16), ncols=3)
    pipelines = table[table["kind"] == "pipeline"]
    shades = (plots.GREY, *plots.colours(5))
    for (name, label), colour, marker in zip(LABELS.items(), shades, plots.MARKERS[:6], strict=True):
        rows = pipelines[pipelines["method"] == name]
        share = (rows["overlap"] > SUCCESS).groupby(rows["n_rows"]).mean()
        plots.draw_measured(whole, share.index, share, colour=colour, marker=marker, label=label, join=True)
    plots.log_axis(whole, "x", config.n_rows)
    whole.set_ylim(-0.03, 1.03)
    plots.name_axes(
        whole,
        x="labelled rows, N",
        y=f"share of tasks with overlap above {SUCCESS:g}",
        title=f"Whole pipelines: h₃ + c h₄, r = d = {config.rank}",
    )
    whole.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    plots.explain(
        figure,
        [
            ("measured", f"left: mean over {config.n_tasks} tasks ± 2 standard errors"),
            (
                "measured",
                f"right: {config.n_end_to_end} tasks; Hermite ridge read-out, ReLU in the literal recipe",
            ),
        ],
        columns=2,
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
