"""How many context rows does adapting save on real tables?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd

from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import curves
from testtime.experiments.figure import Figure
from testtime.experiments.tabular.scores import class_scores
from testtime.report import plots
from testtime.results import Claim
from testtime.scale.cells import Cell

__all__ = ["FIGURE", "Config", "rows_at_parity"]

METHODS = {"plain": "frozen", "adapted": "adapted (TTT)"}
MEASURES = {"log_loss": "log loss", "auc": "AUC", "accuracy": "accuracy"}
_DRAWS = 2000


@dataclass(frozen=True)
class Config:
    """The frozen and the adapted model on the same context rows, both averaged over the same views.

    Attributes
    ----------
    tables
        Names as in :func:`testtime.tasks.tables.load_table`; classification.
    sizes
        Context rows n.
    n_train, n_test
        Rows that the adapted model may train on, and rows that are scored; fewer where the table is small.
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
        "sklearn:digits",
        "keel:banana",
        "keel:contraceptive",
        "keel:german",
        "keel:magic",
        "keel:phoneme",
        "keel:satimage",
        "keel:segment",
        "keel:spambase",
        "keel:titanic",
        "keel:vehicle",
    )
    sizes: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1000)
    n_train: int = 1000
    n_test: int = 1000
    n_draws: int = 3
    backbone: str = "embedded"
    n_members: int = 8
    n_steps: int | None = None
    seed: int = 20250302

    @classmethod
    def quick(cls) -> Config:
        """Return one draw of the bundled tables, few sizes and small fits."""
        return cls(
            tables=("adult", "pendigits"),
            sizes=(16, 64),
            n_train=300,
            n_test=300,
            n_draws=1,
            n_members=4,
            n_steps=12,
        )


def cells(config: Config) -> list[Cell]:
    """One cell for each table, draw and context length."""
    return [
        {
            "id": f"{table.replace(':', '-').replace('/', '-')}-{draw}-{n}",
            "table": table,
            "draw": draw,
            "n_context": n,
        }
        for table in config.tables
        for draw in range(config.n_draws)
        for n in config.sizes
    ]


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Fit with so many context rows, and score what is served and the frozen model on new rows."""
    from testtime.estimators.classifier import TTTClassifier
    from testtime.table.columns import DataWarning
    from testtime.table.rows import N_FOLDS
    from testtime.tasks.tables import load_table

    table, n = load_table(cell["table"]), cell["n_context"]
    # The same rows at every length: what is compared along a curve differs in nothing else.
    order = np.random.default_rng([config.seed, cell["draw"]]).permutation(len(table.target))
    n_train = min(config.n_train, len(order) * 7 // 10)
    train, test = order[:n_train], order[n_train : n_train + config.n_test]
    # All training rows are what a fit takes by itself; a few less would leave too few to train on and to guard with.
    everything = n == n_train
    if n < table.target.nunique() or not (everything or n <= n_train - 2 * N_FOLDS):
        return []
    y = table.target.astype(str).to_numpy()
    test = test[np.isin(y[test], y[train])]
    model = TTTClassifier(
        backbone=config.backbone,
        n_context="auto" if everything else n,
        n_members=config.n_members,
        n_steps="auto" if config.n_steps is None else config.n_steps,
        random_state=int(seed.generate_state(1)[0] >> 1),
    ).fit(table.X.iloc[train], y[train])
    X, codes = table.X.iloc[test], np.searchsorted(model.classes_, y[test])
    where = {"table": cell["table"], "draw": cell["draw"], "n_context": n, "weight": model.adaptation_.weight}
    warnings.simplefilter("ignore", DataWarning)  # of categories that few rows did not show
    return [
        {
            **where,
            "method": method,
            **class_scores(model.predict_proba_at(X, n, adapted=method == "adapted"), codes),
        }
        for method in METHODS
    ]


def rows_at_parity(plain: pd.Series, loss: float) -> float:
    """Return the context length at which the frozen model reaches a loss; between lengths along their logarithm.

    The curve is taken as its running minimum. A loss that no measured length reaches gives the longest.

    >>> rows_at_parity(pd.Series([0.6, 0.4, 0.4], index=[16, 64, 256]), 0.5)
    32.0
    """
    lengths, best = plain.index.to_numpy(dtype=np.float64), np.minimum.accumulate(plain.to_numpy())
    reached = np.flatnonzero(best <= loss)
    if not len(reached):
        return float(lengths[-1])
    at = int(reached[0])
    if at == 0:
        return float(lengths[0])
    share = (best[at - 1] - loss) / (best[at - 1] - best[at])
    return float(np.round(np.exp(np.log(lengths[at - 1]) + share * np.log(lengths[at] / lengths[at - 1])), 6))


def _by_table(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Means over draws: one row per table and context length, one column per method."""
    return table.pivot_table(index=["table", "n_context"], columns="method", values=measure, aggfunc="mean")


def measured_throughout(means: pd.DataFrame) -> pd.DataFrame:
    """Keep the tables that were measured at every length, so that a mean over tables is of the same ones everywhere.

    All are kept where none was measured at every length.
    """
    n_sizes = means.groupby(level="table").size()
    whole = n_sizes.index[n_sizes == means.index.get_level_values("n_context").nunique()]
    return means.loc[means.index.isin(whole, level="table"), :] if len(whole) else means


def saved(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the frozen model at the adapted model's loss over the rows of that, for each table and length."""
    losses = _by_table(table, "log_loss")
    ratios = {
        (name, n): rows_at_parity(own["plain"].droplevel("table"), own["adapted"][name, n]) / n
        for name, own in losses.groupby(level="table")
        for n in own.index.get_level_values("n_context")
    }
    return pd.Series(ratios).unstack(level=1)


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """Adapting is no loss at any length, and saves rows at short ones."""
    losses = _by_table(table, "log_loss")
    relative = (losses["adapted"] / losses["plain"] - 1.0).unstack()
    short = [n for n in config.sizes if n <= 256]
    return [
        at_most(
            "with at most 256 context rows the adapted model's log loss is lower on the mean of tables (ratio - 1)",
            relative[short].to_numpy().mean(),
            -0.01,
        ),
        at_most(
            "at no length is the mean over tables of the adapted model's loss more than 1% above the frozen model's",
            relative.mean().max(),
            0.01,
        ),
        at_least(
            f"with {short[0]} context rows the adapted model does what the frozen one does with twice as many (median)",
            saved(table)[short[0]].median(),
            2.0,
        ),
    ]


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw three scores and the rows saved against the context length."""
    figure, panels = plots.new_figure(4, height=4.2)
    shades = plots.colours(len(METHODS))
    rng = np.random.default_rng(0)
    for axes, (measure, label) in zip(panels, MEASURES.items(), strict=False):
        means = measured_throughout(_by_table(table, measure))
        shown = means.groupby(level="n_context").mean()
        curves(axes, shown, METHODS, shades, _half_intervals(means, rng))
        plots.log_axis(axes, "x", config.sizes)
        plots.name_axes(axes, x="context rows n", y=f"{label}, mean over tables with all n")
    ratios = saved(table)
    axes = panels[-1]
    for _, own in ratios.iterrows():
        plots.draw_reference(axes, own.index, own)
    drawn = np.array([ratios.iloc[rng.integers(len(ratios), size=len(ratios))].median() for _ in range(200)])
    half = pd.Series(np.ptp(np.quantile(drawn, [0.1, 0.9], axis=0), axis=0) / 2, index=ratios.columns)
    median = ratios.median()
    plots.draw_measured(axes, median.index, median, half, colour=shades[1], label="median", join=True)
    plots.log_axis(axes, "x", config.sizes)
    plots.name_axes(
        axes, x="context rows n of the adapted model", y="rows of the frozen model at its loss / n"
    )
    plots.parameter_legend(panels[0], "model", list(METHODS.values()), shades)
    text = f"experiment: {table['table'].nunique()} tables, {config.n_draws} draws, {config.n_train:,} training rows"
    note = "grey: single tables; bars: 80% intervals over tables; the longest length caps the rows"
    plots.explain(figure, [("measured", text), ("reference", note)])
    return figure


def _half_intervals(means: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Half the 80% interval of the mean over tables, from drawing whole tables."""
    wide = {method: means[method].unstack("n_context") for method in METHODS}
    found = {}
    for method, values in wide.items():
        drawn = values.to_numpy()[rng.integers(len(values), size=(_DRAWS, len(values)))]
        ends = np.nanquantile(np.nanmean(drawn, axis=1), [0.1, 0.9], axis=0)
        found[method] = pd.Series((ends[1] - ends[0]) / 2, index=values.columns)
    return pd.DataFrame(found)


FIGURE = Figure(
    name="tabular-context",
    title="Context rows that adapting saves on real tables",
    source="Gozeten et al. (2025), Fig. 3a",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
