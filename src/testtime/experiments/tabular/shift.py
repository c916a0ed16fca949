"""Is adapting worth it where the rows asked about come from elsewhere? Source and target parts of real tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import curves
from testtime.experiments.figure import Figure
from testtime.experiments.tabular.scores import class_scores
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell

__all__ = ["FIGURE", "Config", "split_by_class", "split_by_component"]

METHODS = {
    "plain, source": "frozen, source rows as context",
    "plain, target": "frozen, target rows",
    "plain, both": "frozen, both",
    "source": "adapted (TTT) on source rows",
    "target": "adapted on target rows",
    "both": "adapted on both",
}
"""On what the model is adapted, which are also the rows it reads; the frozen model reads the same."""

Split = Callable[
    [NDArray[np.float64], NDArray[np.int64], np.random.Generator], tuple[NDArray[np.int64], NDArray[np.int64]]
]


@dataclass(frozen=True)
class Config:
    """Many labelled rows of one part of a table, few of another; new rows of the other are asked about.

    Attributes
    ----------
    tables
        Names as in :func:`testtime.tasks.tables.load_table`; classification.
    shifts
        ``"covariate"`` (the target is the upper half of the rows along their first principal component), ``"label"``
        (the odds of the classes are turned round), or ``"none"``.
    few
        Labelled target rows m.
    n_source, n_test
        Labelled source rows, and target rows that are scored; fewer where the table is small.
    n_draws
        Draws of rows from each table.
    backbone
        The model, as in :class:`testtime.TTTClassifier`.
    n_members
        Adapters of a fit.
    n_steps
        Steps of each; None takes the model's recipe.
    seed
        Root seed.
    """

    tables: tuple[str, ...] = (
        "adult",
        "pendigits",
        "sklearn:breast_cancer",
        "keel:banana",
        "keel:contraceptive",
        "keel:german",
        "keel:magic",
        "keel:phoneme",
        "keel:spambase",
        "keel:titanic",
    )
    shifts: tuple[str, ...] = ("none", "covariate", "label")
    few: tuple[int, ...] = (32, 64, 128, 256)
    n_source: int = 700
    n_test: int = 700
    n_draws: int = 2
    backbone: str = "embedded"
    n_members: int = 8
    n_steps: int | None = None
    seed: int = 20250304

    @classmethod
    def quick(cls) -> Config:
        """Return two shifts of one bundled table, with small fits."""
        return cls(
            tables=("adult",),
            shifts=("none", "label"),
            few=(32, 96),
            n_source=150,
            n_test=200,
            n_draws=1,
            n_members=2,
            n_steps=4,
        )


def split_by_component(
    x: NDArray[np.float64], codes: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows below and above the median of the first principal component of standardised columns.

    >>> x = np.array([[0.0, 0.1], [5.0, 4.9], [1.0, 0.9], [9.0, 9.1]])
    >>> lower, upper = split_by_component(x, np.zeros(4, int), np.random.default_rng(0))
    >>> sorted([sorted(lower.tolist()), sorted(upper.tolist())])
    [[0, 2], [1, 3]]
    """
    scaled = (x - x.mean(0)) / np.maximum(x.std(0), 1e-12)
    position = scaled @ np.linalg.svd(scaled, full_matrices=False)[2][0]
    order = np.lexsort((rng.random(len(x)), position))
    lower, upper = order[: len(x) // 2], order[len(x) // 2 :]
    return rng.permutation(lower), rng.permutation(upper)


def split_by_class(
    x: NDArray[np.float64], codes: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two parts of which the second has few rows of the classes that the first has many of.

    Three quarters of the rows of every second class go to the source, and one quarter of the others; the classes'
    odds differ by a factor of nine between the parts.

    >>> source, target = split_by_class(np.zeros((80, 1)), np.arange(80) % 2, np.random.default_rng(0))
    >>> np.bincount(source % 2).tolist(), np.bincount(target % 2).tolist()
    ([30, 10], [10, 30])
    """
    source, target = [], []
    for code in np.unique(codes):
        own = rng.permutation(np.flatnonzero(codes == code))
        n_source = round(len(own) * (0.75 if code % 2 == 0 else 0.25))
        source.append(own[:n_source])
        target.append(own[n_source:])
    return rng.permutation(np.concatenate(source)), rng.permutation(np.concatenate(target))


def _split_at_random(
    x: NDArray[np.float64], codes: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = rng.permutation(len(x))
    return order[: len(x) // 2], order[len(x) // 2 :]


SPLITS: dict[str, Split] = {
    "none": _split_at_random,
    "covariate": split_by_component,
    "label": split_by_class,
}


def cells(config: Config) -> list[Cell]:
    """One cell for each table, shift, draw and number of target rows."""
    return [
        {
            "id": f"{table.replace(':', '-')}-{shift}-{draw}-{few}",
            "table": table,
            "shift": shift,
            "draw": draw,
            "few": few,
        }
        for table in config.tables
        for shift in config.shifts
        for draw in range(config.n_draws)
        for few in config.few
    ]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Adapt on the source, on the target and on both; score each and the frozen model on new target rows."""
    from testtime.estimators.classifier import TTTClassifier
    from testtime.table.columns import DataWarning, TableColumns
    from testtime.tasks.tables import load_table

    warnings.simplefilter("ignore", DataWarning)  # of categories that few rows did not show
    table = load_table(cell["table"])
    classes, codes = np.unique(table.target.astype(str).to_numpy(), return_inverse=True)
    # The same rows for every number of target rows: what is compared along a curve differs in nothing else.
    rng = np.random.default_rng([config.seed, cell["draw"]])
    encoded = np.nan_to_num(TableColumns().fit(table.X).transform(table.X).x)
    source, target = SPLITS[cell["shift"]](encoded, codes, rng)
    source, few, test = source[: config.n_source], target[: cell["few"]], target[max(config.few) :]
    fits = {"source": source, "target": few, "both": np.concatenate([few, source])}
    # Only classes that all three have seen can be asked of all three.
    known = set.intersection(*(set(codes[rows]) for rows in fits.values()))
    test = test[np.isin(codes[test], list(known))][: config.n_test]
    if len(known) < 2 or len(test) < 50:
        return []
    where = {key: cell[key] for key in ("table", "shift", "draw", "few")}
    where["alignment"] = _alignment(config, table.X, codes, source, target[: max(config.few)], seed)
    found = []
    for name, rows in fits.items():
        model = TTTClassifier(
            backbone=config.backbone,
            n_members=config.n_members,
            n_steps="auto" if config.n_steps is None else config.n_steps,
            random_state=int(seed.generate_state(1)[0] >> 1),
        ).fit(table.X.iloc[rows], classes[codes[rows]])
        asked, n_context = table.X.iloc[test], model.adaptation_.n_context
        truth = np.searchsorted(model.classes_, classes[codes[test]])
        answers = {name: model.predict_proba(asked)}
        answers[f"plain, {name}"] = model.predict_proba_at(asked, n_context, adapted=False)
        found += [
            {**where, "method": method, "weight": model.adaptation_.weight, **class_scores(answer, truth)}
            for method, answer in answers.items()
        ]
    return found


def _alignment(
    config: Config,
    frame: pd.DataFrame,
    codes: NDArray[np.int64],
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    seed: np.random.SeedSequence,
) -> float:
    """Cosine between the frozen model's gradients on source rows and on target rows, over the encoders.

    A small step on the source lowers the target's loss if, and only if, it is positive.
    """
    import torch

    from testtime.adapt.alignment import episode_gradients, mean_cosine
    from testtime.adapt.task import Classes
    from testtime.backbones.registry import load_backbone
    from testtime.table.reading import encode_rows

    task = Classes(len(np.unique(codes)))
    backbone = load_backbone(config.backbone, "classifier")
    rows = np.concatenate([source, target])
    encoded = encode_rows(frame.iloc[rows], codes[rows], task, backbone, seed)[2]
    view = encoded.views(np.arange(len(rows)), backbone, task, 1, config.seed)[0]
    learner = backbone.learner(task, torch.device("cpu"), torch.float32)
    shown = view.rows(encoded.x, encoded.y, next(learner.module.parameters()))
    pools = np.split(np.arange(len(rows)), [len(source)])
    rng = np.random.default_rng(seed)
    gradients = [episode_gradients(learner, shown, codes[rows], pool, ["encoders"], rng) for pool in pools]
    return mean_cosine([one["encoders"] for one in gradients if one])


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """Relative log loss of each adapted model against the frozen model with both parts as context.

    One row per table, shift and number of target rows; means over draws.
    """
    index = ["table", "shift", "few"]
    losses = table.pivot_table(index=index, columns="method", values="log_loss", aggfunc="mean")
    compared = losses.div(losses["plain, both"], axis=0) - 1.0
    return compared.join(table.groupby(index)["alignment"].mean())


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Adapting on both parts is no loss under any shift; source rows alone are not enough."""
    relative = gains(table)
    by_shift = relative.groupby("shift")[list(METHODS)].mean()
    shifted = relative.drop(index="none", level="shift").xs(max(config.few), level="few")
    return [
        at_most(
            "adapted on both parts, the log loss is at most 1% above the frozen model's with both, under every shift",
            by_shift["both"].max(),
            0.01,
        ),
        at_least(
            f"under shift, adapting on source rows alone is worse than with {max(config.few)} target rows (ratio - 1)",
            (shifted["source"] - shifted["both"]).mean(),
            0.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw the log loss against the target rows for each shift, and the gain against the alignment."""
    figure, panels = plots.new_figure(len(config.shifts) + 1, height=4.2)
    shades = plots.colours(len(METHODS))
    for axes, shift in zip(panels, config.shifts, strict=False):
        own = table[table["shift"] == shift]
        means = own.pivot_table(index=["few", "table"], columns="method", values="log_loss", aggfunc="mean")
        curves(axes, means.groupby(level="few").mean(), METHODS, shades)
        plots.log_axis(axes, "x", config.few)
        plots.name_axes(axes, x="labelled target rows m", y="log loss on the target", title=f"shift: {shift}")
    plots.parameter_legend(panels[0], "rows", list(METHODS.values()), shades)
    relative, axes = gains(table).reset_index(), panels[-1]
    for shift, colour, marker in zip(
        config.shifts, plots.colours(len(config.shifts)), plots.MARKERS, strict=False
    ):
        own = relative[relative["shift"] == shift]
        plots.draw_measured(
            axes, own["alignment"], 100 * own["both"], colour=colour, marker=marker, label=shift
        )
    plots.level(axes, 0.0)
    plots.name_axes(
        axes,
        x="cosine of the gradients on source and target",
        y="log loss of adapting on both, % of frozen - 100",
    )
    axes.legend(title="shift")
    text = f"experiment: {table['table'].nunique()} tables, {config.n_draws} draws, {config.n_source} source rows"
    plots.explain(figure, [("measured", text)])
    return figure


FIGURE = Figure(
    name="tabular-shift",
    title="Adapting on source, target or both under distribution shift on real tables",
    source="Gozeten et al. (2025), Section 4 (alignment), on tables",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
