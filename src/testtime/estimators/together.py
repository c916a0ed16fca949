"""Fits of many estimators at once: the shared step of :mod:`testtime.table.tails` behind the estimators' checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from testtime.adapt.parallel import alone
from testtime.adapt.trained import State, Trained
from testtime.backbones.many_class import with_classes
from testtime.backbones.registry import load_backbone
from testtime.backbones.tabicl_tail import Trunk, trunk_of
from testtime.errors import InputError, sentence
from testtime.estimators.base import TTTBase
from testtime.estimators.settings import check_settings
from testtime.table.starts import COLD, SCALES, SharedStart, scaled, shared_start
from testtime.table.tail_episodes import TailRecipe
from testtime.table.tails import Prepared, prepare, train_tails

__all__ = ["check_shared", "fit_start", "fit_together"]

_FREE = {
    "n_context": "auto",
    "n_steps": "auto",
    "step_size": "auto",
    "objective": "accuracy",
    "time_limit": None,
}
"""Arguments that have no meaning where all tables take the same steps, with the values they must have."""


def check_shared(params: Mapping[str, Any]) -> None:
    """Refuse arguments of an estimator that the shared step does not know.

    Raises
    ------
    InputError
        Naming the first of them.
    """
    adapt = params["adapt"]
    if adapt not in ("auto", "tail"):
        raise _unknown("adapt", adapt, "'auto' or 'tail'")
    for name, expected in _FREE.items():
        if params[name] != expected:
            raise _unknown(name, params[name], repr(expected))
    if not params["guard"]:
        raise _unknown("guard", params["guard"], "True")


def _unknown(name: str, value: Any, expected: str) -> InputError:
    why = "groups that are adapted together take the same steps"
    return InputError(
        sentence(
            f"{name}={value!r}",
            expected=expected,
            why=why,
            remedy="Pass together=False to fit each by itself",
        )
    )


def fit_together(
    estimators: Sequence[TTTBase],
    tables: Sequence[tuple[pd.DataFrame, Any]],
    recipe: TailRecipe,
    starts: Sequence[State] | None = None,
    scales: Sequence[float] = SCALES,
) -> list[Exception | None]:
    """Fit each estimator to its own table, ``(X, y)``; steps of tables of one shape are taken in one pass.

    What an estimator becomes does not depend on those beside it, but for the order of sums. A model that is not cut
    into trunk and tail, such as one for more classes than it was pretrained for, is fitted as ``fit`` does.

    Parameters
    ----------
    estimators
        Unfitted, all of one class with the same arguments but for ``random_state``.
    recipe
        How to step.
    starts
        What each may begin with beside the frozen model, see :mod:`testtime.table.starts`; empty for nothing.
    scales
        Multiples of the starts that are tried.

    Returns
    -------
    list of Exception or None
        What went wrong with each.
    """
    errors: list[Exception | None] = [None] * len(estimators)
    # On one thread of its own, as every piece of a fit, so that the bytes do not depend on the caller's settings.
    for i in alone(lambda: _fit_alike(estimators, tables, recipe, starts, scales, errors)):
        try:
            estimators[i].fit(*tables[i])
        except Exception as error:  # whatever one table provokes is said of it, and stops no other
            errors[i] = error
    return errors


def _fit_alike(
    estimators: Sequence[TTTBase],
    tables: Sequence[tuple[pd.DataFrame, Any]],
    recipe: TailRecipe,
    starts: Sequence[State] | None,
    scales: Sequence[float],
    errors: list[Exception | None],
) -> list[int]:
    """Fit what has a tail, and write down what went wrong; return the places of the others."""
    others: list[int] = []
    trunks: dict[int, Trunk | None] = {}
    alike: dict[tuple[object, ...], dict[int, Prepared]] = defaultdict(dict)
    for i, (estimator, (X, y)) in enumerate(zip(estimators, tables, strict=True)):
        try:
            one = _prepared(estimator, X, y, recipe, trunks)
        except Exception as error:
            errors[i] = error
            continue
        if one is None:
            others.append(i)
        else:
            alike[one.target.task.n_classes, one.training and one.training.episodes.shape][i] = one
    for members in alike.values():
        trained = _trained(members, recipe, starts, scales)
        for i, one in members.items():
            table, context = one.finished(trained.get(i, {}))
            estimators[i]._set_fitted(table, context, estimators[i].get_params(deep=False))
    return others


def fit_start(
    estimators: Mapping[str, TTTBase],
    tables: Mapping[str, tuple[pd.DataFrame, Any]],
    recipe: TailRecipe,
    seed: int,
) -> SharedStart:
    """Train what tables have in common; a table that cannot be used has no part in it."""

    def fit() -> SharedStart:
        trunks: dict[int, Trunk | None] = {}
        prepared: dict[str, Prepared] = {}
        for name, estimator in estimators.items():
            try:
                one = _prepared(estimator, *tables[name], recipe, trunks)
            except InputError:  # it is said when the group itself is adapted to
                continue
            if one is not None:
                prepared[name] = one
        return shared_start(prepared, recipe, seed)

    return alone(fit)


def _trained(
    members: Mapping[int, Prepared],
    recipe: TailRecipe,
    starts: Sequence[State] | None,
    scales: Sequence[float],
) -> dict[int, dict[float, Trained]]:
    """Train tables of one shape from each scale of their starts, by place and scale."""
    found: dict[int, dict[float, Trained]] = defaultdict(dict)
    for scale in (COLD,) if starts is None else scales:
        used = {
            i: (one, one.training.episodes)
            for i, one in members.items()
            if one.training is not None and (scale == COLD or (starts and starts[i]))
        }
        if not used:
            continue
        trunk = next(iter(used.values()))[0].trunk
        begin = None if scale == COLD or starts is None else [scaled(starts[i], scale) for i in used]
        seeds, episodes = [one.seed for one, _ in used.values()], [own for _, own in used.values()]
        for i, own in zip(used, train_tails(trunk, episodes, seeds, recipe, begin), strict=True):
            found[i][scale] = own
    return found


def _prepared(
    estimator: TTTBase, X: pd.DataFrame, y: Any, recipe: TailRecipe, trunks: dict[int, Trunk | None]
) -> Prepared | None:
    """Check one table as ``fit`` does and encode it; None for a model that is not cut in two."""
    params = estimator.get_params(deep=False)
    check_shared(params)
    backbone = load_backbone(params["backbone"], estimator._task)
    frame = estimator._check_table(X, reset=True)
    target, values = estimator._read_target(y, len(frame), backbone)
    config = replace(
        check_settings(params), adapt="tail", n_members=recipe.n_views, step_size=recipe.learning_rate
    )
    backbone, n_classes = with_classes(backbone, target.task), target.task.n_classes
    if n_classes not in trunks:
        trunks[n_classes] = trunk_of(backbone.learner(target.task, config.device, torch.float32))
    trunk = trunks[n_classes]
    if trunk is None:
        return None
    seed, kinds = estimator._seed(), params["column_kinds"]
    return prepare(trunk, frame, target, values, backbone, config, recipe, seed, kinds, estimator._file)
