"""Groups adapted in one pass: the same as one at a time, the same on every engine, small adapters, refusals."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.support.grouped import grouped_table, payloads
from tests.support.models import random_rows, tiny_backbone, tiny_regressor
from tests.support.tables import linear_table
from testtime import AdapterStore, InputError, TTTClassifier, TTTRegressor, adapt_groups
from testtime.adapt.delta import Delta, delta_bytes
from testtime.adapt.learner import FROZEN, Rows
from testtime.adapt.task import Classes, Numbers
from testtime.backbones.embedded import load_embedded
from testtime.backbones.tabicl_tail import trunk_of
from testtime.estimators.together import fit_start, fit_together
from testtime.scale.groups import Outcome
from testtime.table.starts import COLD, SCALES
from testtime.table.tail_episodes import TailRecipe
from testtime.table.tails import TAIL

CPU = torch.device("cpu")
QUICK = TailRecipe(n_steps=3, start_steps=6)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Without waiting for the disk, and with few steps where groups share them."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr("testtime.scale.groups.adapt.TailRecipe", lambda: QUICK)


def tables(n: int, n_rows: int = 96, n_classes: int = 2) -> list[tuple[pd.DataFrame, Any]]:
    return [linear_table(n_rows, n_classes, seed=seed) for seed in range(n)]


def estimators(n: int, kind: type = TTTClassifier, **params: Any) -> list[Any]:
    return [kind(random_state=seed, **params) for seed in range(n)]


@pytest.mark.parametrize("numeric", [False, True])
def test_trunk_and_tail_are_the_whole_model(numeric):
    backbone, task = (tiny_regressor(), Numbers()) if numeric else (tiny_backbone(), Classes(3))
    learner = backbone.learner(task, CPU, torch.float32)
    rows = random_rows(40, 5, 3)
    context, x = rows.take(range(30)), rows.x[30:]
    if numeric:
        context = Rows(context.x, 5 + 3 * context.x[:, 0])
    trunk = trunk_of(learner)
    encoded, asked = trunk.encode(context.x[None], context.y[None], x[None])
    tail = trunk.tail
    output = tail.predict(FROZEN, tail.read(FROZEN, Rows(encoded[0], context.y)), asked[0])
    whole = learner.predict(FROZEN, learner.read(FROZEN, context), x)
    assert torch.allclose(output, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [TTTClassifier, TTTRegressor])
def test_one_pass_gives_what_one_at_a_time_gives(tiny_embedded, kind):
    data = tables(3, n_classes=0 if kind is TTTRegressor else 2)
    beside, alone = estimators(3, kind), estimators(3, kind)
    assert fit_together(beside, data, QUICK) == [None] * 3
    for k in range(3):
        fit_together(alone[k : k + 1], data[k : k + 1], QUICK)
    for ours, own, (frame, _) in zip(beside, alone, data, strict=True):
        assert ours.adaptation_.losses == pytest.approx(own.adaptation_.losses, abs=1e-5)
        answer = kind.predict_proba if kind is TTTClassifier else kind.predict
        assert np.allclose(answer(ours, frame), answer(own, frame), rtol=0, atol=1e-5)


def test_what_is_served_is_never_worse_out_of_fold_and_all_views_share_one_small_change(
    tiny_embedded, tmp_path
):
    data, fitted = tables(6), estimators(6)
    fit_together(fitted, data, QUICK)
    records = [one.adaptation_ for one in fitted]
    assert all(record.loss_after <= record.loss_before for record in records)
    kept = next(one for one in fitted if one.adaptation_.kept)
    states = [member.state for member in kept._table.members if member.state is not None]
    assert len(states) == QUICK.n_views
    assert all(state is states[0] for state in states)
    assert kept.adaptation_.n_members == 1
    frozen = [member for member in kept._table.members if member.state is None]
    assert (
        len(frozen) == kept.adaptation_.n_views == kept._table.backbone.recipe.n_views
    )  # as without training
    assert kept.adaptation_.adapter_bytes == delta_bytes(states[0])
    store = AdapterStore(tmp_path / "store")
    store.add("kept", kept)
    loaded = store.load("kept")
    assert np.array_equal(loaded.predict_proba(data[0][0]), kept.predict_proba(data[0][0]))
    again = [member.state for member in loaded._table.members if member.state is not None]
    assert all(state is again[0] for state in again)
    again[0].popitem()  # shared, so that all of them change


def test_an_adapter_is_less_than_a_hundredth_of_the_embedded_base():
    learner = load_embedded().learner(Classes(2), CPU, torch.float32)
    trunk = trunk_of(learner)
    zero = Delta(trunk.tail, TAIL).zero(torch.Generator())
    base = sum(p.numel() * p.element_size() for p in learner.module.parameters())
    assert delta_bytes({key: value.half() for key, value in zero.items()}) < base / 100
    assert {trunk.prefix + key for key in zero} == set(Delta(learner, TAIL).zero(torch.Generator()))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grouped_table({"a": 96, "b": 96, "c": 110, "few": 20})


def test_groups_take_the_shared_step_when_asked_and_processes_give_the_same_bytes(
    tiny, tiny_embedded, table, tmp_path
):
    arguments: dict[str, Any] = {"target": "y", "by": "shop", "together": True}
    groups = adapt_groups(table, store=tmp_path / "serial", **arguments)
    assert {group.name: group.outcome for group in groups} == {
        **dict.fromkeys("abc", Outcome.ADAPTED),
        "few": Outcome.SHARED,
    }
    assert AdapterStore(tmp_path / "serial").load("a").adaptation_.adapt == "tail"
    again = adapt_groups(table, store=tmp_path / "serial", **arguments)
    assert [group.outcome for group in again][:3] == [Outcome.UNCHANGED] * 3
    estimator = TTTClassifier(backbone=tiny)
    adapt_groups(
        table,
        store=tmp_path / "joblib",
        estimator=estimator,
        engine="joblib",
        n_jobs=2,
        **arguments,
    )
    assert payloads(tmp_path / "joblib") == payloads(tmp_path / "serial")


@pytest.mark.parametrize(
    ("estimator", "members", "steps"), [(None, 4, 5), (TTTClassifier(n_members=2, n_steps=3), 2, 3)]
)
def test_by_default_a_group_is_fitted_by_itself_lightly_or_as_the_estimator_says(
    tiny_embedded, table, tmp_path, estimator, members, steps
):
    adapt_groups(table, target="y", by="shop", store=tmp_path, estimator=estimator)
    record = AdapterStore(tmp_path).load("a").adaptation_
    assert (record.adapt, record.n_steps <= steps, record.n_members in (0, members)) == (
        "encoders",
        True,
        True,
    )


def test_a_group_that_fails_does_not_harm_those_beside_it(tiny_embedded, table, tmp_path):
    bad = table.assign(y=table["y"].astype(object))
    bad.loc[bad.index[bad["shop"] == "b"][0], "y"] = "text"
    groups = adapt_groups(bad, target="y", by="shop", store=tmp_path / "store", together=True)
    found = {group.name: group for group in groups}
    assert found["a"].outcome is found["c"].outcome is Outcome.ADAPTED
    assert "mixes text such as 'text'" in found["b"].reason


def test_a_model_without_a_tail_and_tables_with_few_rows_are_fitted_alone(tiny_embedded):
    frame, _ = linear_table(96)
    many = pd.Series(np.arange(96) % 12)  # more classes than the tiny model knows in one pass
    errors = fit_together([single := TTTClassifier(n_members=1)], [(frame, many)], QUICK)
    assert errors == [None]
    assert single.adaptation_.adapt != "tail"
    [short] = estimators(1)
    fit_together([short], [linear_table(80)], QUICK)
    assert short.adaptation_.status.name == "REVERTED_TOO_FEW"
    assert np.isfinite(short.predict_proba(linear_table(80)[0])).all()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"n_steps": 3}, "n_steps=3; expected 'auto'"),
        ({"adapt": "lora"}, "adapt='lora'; expected 'auto' or 'tail'"),
        ({"guard": False}, "guard=False; expected True"),
        ({"time_limit": 5.0}, "time_limit=5.0; expected None"),
    ],
)
def test_arguments_that_cannot_be_shared_are_refused(tiny_embedded, table, tmp_path, params, says):
    with pytest.raises(InputError, match=says):
        adapt_groups(
            table,
            target="y",
            by="shop",
            store=tmp_path / "store",
            estimator=TTTClassifier(**params),
            together=True,
        )
    assert not (tmp_path / "store").exists()


def test_a_start_is_what_the_other_half_has_in_common_and_the_guard_chooses_its_scale(
    tiny_embedded, tmp_path
):
    table = grouped_table(dict.fromkeys("abcdef", 96))
    arguments = {"target": "y", "by": "shop", "store": tmp_path / "store", "start": "chosen"}
    groups = adapt_groups(table, **arguments)
    assert {group.outcome for group in groups} == {Outcome.ADAPTED}
    assert {group.start_scale for group in groups} <= set(SCALES)
    assert any(group.start_scale > COLD for group in groups)
    store = AdapterStore(tmp_path / "store")
    for group in groups:
        record = store.load(group.name).adaptation_
        assert record.start_scale == group.start_scale
        assert record.loss_after <= record.loss_before
    assert {group.outcome for group in adapt_groups(table, **arguments)} == {Outcome.UNCHANGED}
    cold = adapt_groups(table, **arguments | {"store": tmp_path / "cold", "start": "cold", "together": True})
    gains = {group.name: group.gain for group in cold}
    assert all(
        group.gain >= gains[group.name] - 1e-9 for group in groups
    )  # cold is among what is chosen from


def test_what_a_group_begins_with_does_not_follow_from_its_own_rows(tiny_embedded):
    names = ["a", "b", "c", "d", "e", "f"]
    data, changed = dict(zip(names, tables(6), strict=True)), "c"
    starts = fit_start(dict(zip(names, estimators(6), strict=True)), data, QUICK, 0)
    frame, y = data[changed]
    data[changed] = frame, 1 - y
    other = fit_start(dict(zip(names, estimators(6), strict=True)), data, QUICK, 0)
    for key, value in starts.of(changed).items():
        assert torch.equal(value, other.of(changed)[key])
    assert starts.sha256 != other.sha256


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"start": "hot"}, "start='hot'; expected 'cold' or 'chosen'"),
        ({"start": "chosen", "together": False}, "each group is fitted by itself"),
    ],
)
def test_starts_that_cannot_be_are_refused(tiny_embedded, table, tmp_path, arguments, says):
    with pytest.raises(InputError, match=says):
        adapt_groups(table, target="y", by="shop", store=tmp_path / "store", **arguments)
