"""Warm against cold in a GPT-2: the pretrained model and a random one, both trained at test time on linear tasks."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import FROZEN, Rows, Weights
from testtime.adapt.train import TrainConfig
from testtime.adapt.train_each import train_each
from testtime.experiments.claims import at_least, at_most
from testtime.experiments.drawing import curves
from testtime.experiments.figure import Cell, Figure
from testtime.experiments.in_context.adapting import Contexts, table_of
from testtime.experiments.in_context.learner import GPTLearner
from testtime.experiments.in_context.measures import fingerprint, shipped
from testtime.experiments.in_context.prompts import task_variances
from testtime.experiments.in_context.recipes import Recipe
from testtime.models.gpt import InContextGPT
from testtime.report import plots
from testtime.results import Claim
from testtime.tasks.linear import draw_episodes
from testtime.theory.linear import Setting, one_step, start_transition

__all__ = ["ALIGNMENTS", "FIGURE", "Config", "setting_of", "transition"]

Array = NDArray[np.float64]

ALIGNMENTS = {"aligned": "tasks as in pretraining", "identity": "even tasks", "reversed": "reversed spectrum"}
METHODS = {
    "icl": "in-context, n rows",
    "icl all": "in-context, all n + k rows",
    "warm": "test-time training, pretrained start",
    "cold": "test-time training, random start",
    "ridge": "least squares on all n + k rows",
}


@dataclass(frozen=True)
class Config:
    """One pretrained model, tasks of three covariances, several numbers of training rows.

    Attributes
    ----------
    recipe
        Name of the pretrained model.
    n_context, n_train
        Rows of a context n, and the numbers of rows k it is trained on at test time.
    alignments
        Names of :data:`ALIGNMENTS`.
    n_tasks, n_choice
        Test tasks per point, and separate tasks on which the rate and the number of steps of a start are chosen.
    rates, n_steps, n_query
        Rates to choose from, the largest number of steps, query rows of an episode.
    seed
        Root seed.
    """

    recipe: str = "gpt2-linear-d8"
    n_context: int = 6
    n_train: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512)
    alignments: tuple[str, ...] = tuple(ALIGNMENTS)
    n_tasks: int = 32
    n_choice: int = 6
    rates: tuple[float, ...] = (1e-3, 3e-3)
    n_steps: int = 320
    n_query: int = 16
    seed: int = 20260304

    @classmethod
    def quick(cls) -> Config:
        """Return the ends of the curves of two covariances on a few tasks, at one rate."""
        few = {"n_tasks": 3, "n_choice": 2, "rates": (3e-3,), "n_steps": 240}
        return cls(n_train=(8, 128), alignments=("aligned", "reversed"), **few)

    def step_counts(self) -> tuple[int, ...]:
        """Numbers of steps to choose from."""
        return tuple(sorted({max(1, round(self.n_steps * share)) for share in (0.1, 0.25, 0.5, 1.0)}))


def cells(config: Config) -> list[Cell]:
    """One cell for each covariance and k, every other k first, so that a run that is stopped spans the curves.

    The theory is drawn without one.
    """
    falling = config.n_train[::-1]
    return [
        {"id": f"{name} k={k}", "alignment": name, "k": k, "weights": fingerprint(config.recipe)}
        for k in (*falling[::2], *falling[1::2])
        for name in config.alignments
    ]


def variances(config: Config, alignment: str) -> tuple[Array, Array]:
    """Return the variances of the coefficients in pretraining and at test time, ``(d,)`` each."""
    own = task_variances(Recipe.load(config.recipe))
    return own, {"aligned": own, "reversed": own[::-1], "identity": np.ones_like(own)}[alignment]


def setting_of(config: Config, alignment: str, k: int) -> Setting:
    """Return the same setting for the linear transformer."""
    own, test = variances(config, alignment)
    return Setting(n_context=config.n_context, n_train=k, task_cov=own, test_task_cov=test)


def run_cell(config: Config, cell: Cell, seed: np.random.SeedSequence) -> list[dict]:
    """Choose rate and steps of both starts on separate tasks, then measure every method on fresh ones."""
    k, n = cell["k"], config.n_context
    _, test = variances(config, cell["alignment"])
    choice_seed, report_seed, start_seed = seed.spawn(3)
    warm = shipped(config.recipe)
    learners = {"warm": warm, "cold": _random_twin(warm, start_seed)}
    drawn, choice = (
        draw_episodes(count, n, k, len(test), n_query=256, task_cov=test, seed=own)
        for count, own in ((config.n_tasks, report_seed), (config.n_choice, choice_seed))
    )
    rows = []

    def add(method: str, told: list[Array], **more: float) -> None:
        for t, answer in enumerate(told):
            error = float(np.mean((answer - drawn.y_query[t]) ** 2) / np.mean(drawn.y_query[t] ** 2))
            rows.append(
                {"alignment": cell["alignment"], "k": k, "method": method, "task": t, "mse": error, **more}
            )

    tables = _tables(drawn)
    contexts = Contexts(full=n)
    add(
        "icl",
        [contexts.with_full(warm, FROZEN, one, X) for one, X in zip(tables, drawn.X_query, strict=True)],
    )
    whole = Contexts(full=n + k)
    add(
        "icl all",
        [whole.with_full(warm, FROZEN, one, X) for one, X in zip(tables, drawn.X_query, strict=True)],
    )
    add("ridge", [_least_squares(one, X) for one, X in zip(tables, drawn.X_query, strict=True)])
    for start, learner in learners.items():
        best = min(
            (
                (float(np.mean(_errors(learner, weights, choice, n))), rate, steps)
                for rate in config.rates
                for steps, weights in _trained(learner, choice, config, rate, choice_seed).items()
            ),
        )
        _, rate, steps = best
        weights = _trained(learner, drawn, config, rate, report_seed)[steps]
        told = [
            contexts.with_full(learner, own, one, X)
            for own, one, X in zip(weights, tables, drawn.X_query, strict=True)
        ]
        add(start, told, rate=rate, steps=steps)
    return rows


def _random_twin(learner: GPTLearner, seed: np.random.SeedSequence) -> GPTLearner:
    """Return a model of the same shape with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0]) >> 1)
        return GPTLearner(InContextGPT(learner.module.config))


def _tables(drawn) -> list[Rows]:
    """Context rows first, then training rows, of each task."""
    X, y = (
        np.concatenate([drawn.X_context, drawn.X_train], 1),
        np.concatenate([drawn.y_context, drawn.y_train], 1),
    )
    return [table_of(*one) for one in zip(X, y, strict=True)]


def _trained(
    learner: GPTLearner, drawn, config: Config, rate: float, seed: np.random.SeedSequence
) -> dict[int, list[Weights]]:
    """Train all weights on every task; returns the weights after each number of steps."""
    train_config = TrainConfig(
        n_steps=config.n_steps,
        n_context=config.n_context,
        n_query=config.n_query,
        learning_rate=rate,
        spec=DeltaSpec("all"),
        snapshots=config.step_counts(),
    )
    tables = _tables(drawn)
    pools = [np.arange(len(one)) for one in tables]
    seeds = [
        np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, 9, t)) for t in range(len(tables))
    ]
    delta = Delta(learner, train_config.spec)
    trained = train_each(learner, tables, pools, train_config, seeds)
    return {
        steps: [delta.weights(one.snapshots[steps]) if steps in one.snapshots else FROZEN for one in trained]
        for steps in config.step_counts()
    }


def _errors(learner: GPTLearner, weights: list[Weights], drawn, n: int) -> list[float]:
    told = [
        Contexts(full=n).with_full(learner, own, one, X)
        for own, one, X in zip(weights, _tables(drawn), drawn.X_query, strict=True)
    ]
    return [float(np.mean((a - y) ** 2) / np.mean(y**2)) for a, y in zip(told, drawn.y_query, strict=True)]


def _least_squares(rows: Rows, X: Array) -> Array:
    """Predict with the smallest coefficients that fit best: ridge as its penalty goes to zero."""
    return X @ np.linalg.lstsq(rows.x.double().numpy(), rows.y.double().numpy(), rcond=None)[0]


def transition(gain: pd.Series) -> float:
    """Return the k at which the random start overtakes, from errors of random over pretrained start at each k.

    Between two values of k the logarithm of the ratio is taken to be linear in that of k. Infinite when the
    pretrained start wins at every k, the smallest k when it wins at none, NaN when a ratio is missing.

    >>> transition(pd.Series({10: 2.0, 100: 2.0, 1000: 0.5}))
    316.2...
    """
    if gain.isna().any():
        return float("nan")
    logs, k = np.log(gain.to_numpy()), np.log(gain.index.to_numpy(dtype=float))
    behind = np.flatnonzero(logs < 0.0)
    if not len(behind):
        return float("inf")
    at = int(behind[0])
    if at == 0:
        return float(gain.index[0])
    return float(np.exp(np.interp(0.0, [logs[at], logs[at - 1]], [k[at], k[at - 1]])))


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    """With few rows the pretrained start wins; where that ends is compared with the linear transformer's theory."""
    mean = table.pivot_table(index=["alignment", "k"], columns="method", values="mse", dropna=False)
    few, many = config.n_train[0], config.n_train[-1]
    at = mean.xs(few, level="k")
    gain = mean["cold"] / mean["warm"]
    said = [
        at_least(
            f"k = {few}, tasks as in pretraining: the random start is at least 1.2 times worse than the pretrained one",
            gain["aligned"][few],
            1.2,
        ),
        at_least(
            "test-time training from the pretrained start falls with k under the reversed spectrum",
            mean["warm"]["reversed"][few] / mean["warm"]["reversed"][many],
            1.1,
        ),
        at_most(
            f"k = {few}, tasks as in pretraining: in-context learning with n rows is beaten by all n + k rows",
            at["icl all"]["aligned"] / at["icl"]["aligned"],
            0.9,
        ),
        at_least(
            "the pretrained start's advantage at the largest k is greater for aligned than for reversed tasks",
            gain["aligned"][many] / gain["reversed"][many],
            1.0,
        ),
    ]
    for name in config.alignments:
        expected = start_transition(setting_of(config, name, 0)).n_train
        if np.isinf(expected):
            said.append(
                at_least(
                    f"{name}: the pretrained start wins up to k = {many}, as in the linear theory",
                    gain[name].min(skipna=False),
                    1.0,
                )
            )
        elif few < expected < many:
            found = transition(gain[name])
            said.append(
                at_most(
                    f"{name}: the random start overtakes within a factor 2 of the linear theory's k = {expected:.0f}",
                    max(found / expected, expected / found),
                    2.0,
                )
            )
    return said


def draw(table: pd.DataFrame, config: Config) -> matplotlib.figure.Figure:
    """Draw error against k, one panel per alignment, with the exact curves of the linear transformer."""
    figure, panels = plots.new_figure(len(config.alignments), width=4.2 * len(config.alignments))
    shades = dict(zip(METHODS, plots.colours(len(METHODS)), strict=True))
    dense = np.unique(np.geomspace(config.n_train[0], config.n_train[-1], 40).round().astype(int))
    for axes, name in zip(panels, config.alignments, strict=True):
        rows = table[table["alignment"] == name].groupby(["k", "method"])["mse"]
        curves(axes, rows.mean().unstack(), METHODS, list(shades.values()), 2 * rows.sem().unstack())
        size = float(np.sum(variances(config, name)[1]))
        for start in ("warm", "cold"):
            exact = [one_step(setting_of(config, name, int(k)), start).best_risk / size for k in dense]
            plots.draw_exact(axes, dense, exact, colour=shades[start], width=1.0)
        where = start_transition(setting_of(config, name, 0)).n_train
        if config.n_train[0] < where < config.n_train[-1]:
            axes.axvline(where, color=plots.GREY, linestyle=":", linewidth=1.2)
        plots.log_axis(axes, "x", list(config.n_train))
        plots.log_axis(axes, "y", [0.01, 0.1, 1.0])
        plots.name_axes(axes, x="training rows, k", title=ALIGNMENTS[name])
    panels[0].set_ylabel("squared error / variance of y")
    panels[0].legend(loc="lower left")
    text = f"experiment: mean ± 2 standard errors over {config.n_tasks} tasks, n = {config.n_context}"
    plots.explain(
        figure,
        [
            ("exact", "linear transformer, one best step (exact): pretrained and zero start"),
            ("measured", text),
            ("reference", "where the linear theory's better start changes"),
        ],
    )
    return figure


FIGURE = Figure(
    name="gpt2-shift",
    title="A GPT-2 on linear tasks: pretrained or random start",
    source="Gozeten et al. (2025), GPT-2 experiments",
    config=Config,
    cells=cells,
    run_cell=run_cell,
    claims=claims,
    draw=draw,
)
