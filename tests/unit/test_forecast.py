"""The forecast of what adapting brings: its regression against brute force, its signs on a model that is known."""

from __future__ import annotations

import json
import math
import re
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.support.commands import run
from tests.support.foreign import tabicl_checkpoint
from tests.support.linear import LinearBackbone
from testtime import InputError, Status, TTTClassifier, plan_table
from testtime.adapt.task import Classes, Numbers
from testtime.backbones.base import Encoded, Recipe
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows
from testtime.table.forecast import plan
from testtime.table.forecast.forecaster import Forecaster, bent, shipped, straight
from testtime.table.forecast.plan import advise
from testtime.table.forecast.signs import NAMES, CurvePoint, Signs, read_signs
from testtime.table.timing import Pace

PENALTY = 3.0
CPU = torch.device("cpu")


def tables(n: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Signs of tables, and gains that follow the first of them."""
    rng = np.random.default_rng(seed)
    signs = rng.standard_normal((n, 3)) * [1.0, 10.0, 0.1] + [5.0, 0.0, 1.0]
    return signs, straight(0.8 * (signs[:, 0] - 5.0) + 0.3 * rng.standard_normal(n))


def test_the_scale_is_undone_and_is_per_cent_near_zero():
    gains = np.array([-0.3, -0.001, 0.0, 0.002, 0.5])
    assert straight(bent(gains)) == pytest.approx(gains)
    assert bent(0.001) == pytest.approx(0.1, rel=2e-3)


def test_errors_are_those_of_leaving_a_table_out():
    signs, gains = tables()
    fitted = Forecaster.fit(signs, gains, PENALTY)
    errors = []
    for out in range(len(gains)):
        rest = np.delete(np.arange(len(gains)), out)
        errors.append(bent(gains[out]) - Forecaster.fit(signs[rest], gains[rest], PENALTY).values(signs[out]))
    assert fitted.errors == pytest.approx(np.sort(errors))


def test_a_table_is_left_out_with_all_of_its_draws():
    signs, gains = tables(20)
    names = np.repeat(np.arange(10), 2)
    fitted = Forecaster.fit(signs, gains, PENALTY, names)
    rest = names != 3
    other = Forecaster.fit(signs[rest], gains[rest], PENALTY, names[rest])
    for error in bent(gains[~rest]) - other.values(signs[~rest]):
        assert np.isclose(fitted.errors, error).any()


def test_the_regression_is_a_ridge_in_deviations():
    signs, gains = tables()
    fitted = Forecaster.fit(signs, gains, PENALTY)
    x = np.clip((signs - signs.mean(0)) / signs.std(0), -3, 3)
    own = x - x.mean(0)
    weights = np.linalg.solve(own.T @ own + PENALTY * np.eye(3), own.T @ (bent(gains) - bent(gains).mean()))
    assert fitted.values(signs) == pytest.approx(bent(gains).mean() + own @ weights)


def test_four_of_five_new_tables_are_inside_the_interval():
    fitted = Forecaster.fit(*tables(), PENALTY)
    signs, gains = tables(2000, seed=1)
    forecasts = [fitted(one) for one in signs]
    inside = np.mean([one.low <= gain <= one.high for one, gain in zip(forecasts, gains, strict=True)])
    assert 0.72 < inside < 0.9
    assert np.mean([one.harm for one in forecasts]) == pytest.approx(np.mean(gains < -0.005), abs=0.05)
    assert all(one.low < one.gain < one.high for one in forecasts)


def test_what_ships_knows_every_sign_and_comes_back_from_its_file():
    forecaster = shipped()
    assert forecaster.weights.shape == forecaster.centre.shape == forecaster.scale.shape == (len(NAMES),)
    stored = json.loads(json.dumps(forecaster.to_dict()))
    assert stored["signs"] == list(NAMES)
    assert stored["weights"] == pytest.approx(forecaster.weights, abs=1e-6)
    assert np.all(np.diff(forecaster.errors) >= 0)


def rows(n: int, *, learnable: bool, numeric: bool = False) -> EncodedRows:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 3))
    score = 2.0 * x[:, 0] if learnable else rng.standard_normal(n)
    y = score if numeric else (score + 0.2 * rng.standard_normal(n) > 0).astype(np.int64)
    return EncodedRows(Encoded(x, ("a", "b", "c"), ("number",) * 3, (0,) * 3), x, y)


def read(table: EncodedRows, *, numeric: bool = False, seed: int = 0) -> dict[str, float]:
    task = Numbers() if numeric else Classes(2)
    found = read_signs(LinearBackbone(), task, table, np.random.SeedSequence(seed), CPU)
    return dict(zip(NAMES, found.values, strict=True))


@pytest.mark.parametrize("numeric", [False, True])
def test_gradients_agree_where_there_is_something_to_learn(numeric: bool):
    learnable = read(rows(400, learnable=True, numeric=numeric), numeric=numeric)
    noise = read(rows(400, learnable=False, numeric=numeric), numeric=numeric)
    name = "agreement of gradients, encoders"
    assert learnable[name] > 0.8
    assert abs(noise[name]) < 0.5
    # The frozen model knows the shares alone, so a forest beats it exactly where the columns say something.
    name = "loss of a forest over that of the model"
    assert learnable[name] < -0.5
    assert noise[name] > -0.1
    assert learnable["loss left"] == pytest.approx(1.0, abs=0.1)


def test_signs_are_the_same_again_and_train_nothing():
    table, model = rows(200, learnable=True), LinearBackbone()
    found = [read_signs(model, Classes(2), table, np.random.SeedSequence(3), CPU) for _ in range(2)]
    assert found[0].values == found[1].values
    assert all(not p.any() for module in model._modules.values() for p in module.parameters())
    assert [point.n_context for point in found[0].curve] == [50, 100, 150]
    # The model keeps ten logits of four bytes.
    assert all(point.n_bytes == 2 * 4 for point in found[0].curve)


def signs_with(seconds: tuple[float, ...]) -> Signs:
    curve = tuple(CurvePoint(100 * (i + 1), 0.5, s, 1000 * (i + 1)) for i, s in enumerate(seconds))
    return Signs((0.0,) * len(NAMES), curve, Pace(1e-4))


def advice(signs: Signs | None, n_rows: int = 1000, longer: tuple[float, ...] = (), **budgets: float):
    return advise(
        signs,
        loss_name="log loss",
        n_rows=n_rows,
        most_context=1024,
        recipe=Recipe({"encoders": 1e-3}, longer=longer),
        config=FitConfig(),
        **budgets,
    )


def test_a_budget_shortens_the_context():
    signs = signs_with((0.001, 0.002, 0.003))
    assert (advice(signs).objective, advice(signs).n_context) == ("accuracy", 1000)
    tight = advice(signs, memory=16 * 4000.0)  # sixteen members keep ten bytes a row each
    assert (tight.objective, tight.n_context) == ("short", 400)
    assert "n_context=400" in tight.explain()
    assert advice(signs, memory=1e9).objective == "accuracy"
    assert 0 < advice(signs, latency=0.05).n_context < 1000
    with pytest.raises(InputError, match=r"memory=10 bytes; expected at least .* Raise it"):
        advice(signs, memory=10.0)


@pytest.mark.parametrize(("cores", "milliseconds"), [(1, 16), (4, 4), (64, 1)])
def test_what_is_printed_is_what_is_served_and_what_a_budget_is_compared_with(
    monkeypatch, cores, milliseconds
):
    monkeypatch.setattr(plan, "available_cores", lambda: cores)
    signs = signs_with((0.001, 0.002, 0.003))
    found = advice(signs)
    for k, point in enumerate(found.curve, start=1):
        assert f"Frozen, {100 * k} context rows: log loss 0.500, {k * milliseconds:.2f} ms" in found.explain()
        assert point.seconds == pytest.approx(k * milliseconds / 1000)
        assert point.n_bytes == 16 * 1000 * k
        assert advice(signs, latency=point.seconds).n_context == 100 * k
        assert advice(signs, memory=float(point.n_bytes)).n_context == 100 * k
    least = {16: "0.0103", 4: "0.00256", 1: "0.00064"}[milliseconds]  # rounded up: what is asked for is taken
    with pytest.raises(InputError, match=f"at least {least}, what 64 context rows"):
        advice(signs, latency=0.0005 * milliseconds)


@pytest.mark.parametrize("milliseconds", [(1, 2, 1.7), (1.3, 1.1, 1.2), (0.01, 0.01, 0.9), (0.14,) * 3])
def test_a_plan_of_times_that_scatter_refuses_nothing_that_it_prints_or_asks_for(milliseconds):
    signs = signs_with(tuple(one / 1000 for one in milliseconds))
    found = advice(signs)
    assert found.curve[0].seconds <= found.curve[-1].seconds
    for point in found.curve:
        assert point.seconds >= 0
        assert advice(signs, latency=max(point.seconds, 1e-9) * 1.001).n_context >= point.n_context
    if found.curve[0].seconds > 0:
        with pytest.raises(InputError) as refused:
            advice(signs, latency=1e-9)
        least = re.search(r"at least ([0-9.e+-]+),", str(refused.value))
        assert least is not None
        assert advice(signs, latency=float(least[1])).n_context >= 64


def test_further_steps_may_follow_where_all_rows_are_served():
    signs = signs_with((0.001, 0.002, 0.003))
    plain, further = advice(signs), advice(signs, longer=(2.0,))
    assert plain.most_seconds == plain.seconds == further.seconds
    assert 2 * further.seconds < further.most_seconds < 3 * further.seconds  # the frozen model answers once
    assert "that more follow" in further.explain()
    assert "that more follow" not in plain.explain()
    short = advice(signs, longer=(2.0,), memory=16 * 4000.0)
    assert short.most_seconds == short.seconds


def test_a_plan_has_the_steps_that_the_fit_would_take(monkeypatch):
    eager = replace(shipped(), threshold=-9.0)
    monkeypatch.setattr(plan, "shipped", lambda: eager)
    signs = signs_with((0.001, 0.002, 0.003))
    assert advice(signs).n_steps == 20
    assert advice(signs, n_rows=100).n_steps == 12  # one for six of the 75 rows an adapter is trained on
    assert advice(signs, memory=16 * 4000.0).n_steps == 50
    assert advice(signs, n_rows=4000).n_context == 1024


@pytest.mark.parametrize(("n_columns", "n_context"), [(3, 1300), (210, 1024)])
def test_a_plan_serves_as_many_rows_as_a_fit(n_columns: int, n_context: int):
    x = np.random.default_rng(0).standard_normal((1300, n_columns))
    assert plan_table(x, x[:, 0] > 0).n_context == n_context


@pytest.mark.parametrize("n_rows", [84, 85, 86, 87])
def test_a_plan_trains_where_the_fit_does(n_rows, tiny_embedded):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_rows, 2))
    y = (x[:, 0] > 0).astype(int)
    fitted = TTTClassifier(random_state=0).fit(x, y)
    plan = plan_table(x, y)
    trains = fitted.adaptation_.status is not Status.REVERTED_TOO_FEW
    assert trains == (n_rows >= 86)
    assert bool(plan.signs) == trains


def test_few_rows_are_not_measured():
    few = advice(None)
    assert (few.adapt, few.n_steps, few.gain) == (False, 0, 0.0)
    assert "too few" in few.explain()


@pytest.mark.parametrize(
    ("column", "arguments", "said"),
    [
        (np.nan, {}, "none of the 1 columns holds two different values"),
        (5.0, {}, "none of the 1 columns holds two different values"),
        (None, {"column_kinds": {"b": "nominal"}}, "there is no column 'b'"),
    ],
)
def test_few_rows_that_a_fit_refuses_are_not_planned(column, arguments, said, tiny_embedded):
    X = pd.DataFrame({"a": np.arange(20.0) if column is None else np.full(20, column)})
    y = np.arange(20) % 2
    for attempt in (
        lambda: plan_table(X, y, **arguments),
        lambda: TTTClassifier(random_state=0, **arguments).fit(X, y),
    ):
        with pytest.raises(InputError, match=said):
            attempt()


@pytest.fixture
def frame() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.standard_normal((150, 3)), columns=list("abc")).assign(
        town=rng.choice(list("xyz"), 150)
    )
    return x, np.where(x["a"] > 0, "yes", "no")


def test_a_table_is_planned(frame, tiny_embedded):
    plan = plan_table(*frame)
    assert plan.loss_name == "log loss"
    assert plan.low <= plan.gain <= plan.high
    assert 0 <= plan.harm <= 1
    assert plan.seconds < plan.most_seconds < 3 * plan.seconds
    assert plan.seconds > 0
    assert set(plan.signs) == set(NAMES)
    assert math.isclose(plan.signs["nominal share of columns"], 0.25)
    assert "80% of tables" in plan.explain()
    again = plan_table(*frame)
    assert (again.gain, again.signs) == (plan.gain, plan.signs)
    numbers = plan_table(frame[0], frame[0]["a"].to_numpy())
    assert numbers.loss_name == "CRPS"
    assert plan_table(frame[0], frame[0]["a"].to_numpy(dtype=object)).loss_name == "CRPS"
    assert numbers.signs["numeric target"] == 1.0
    assert "not been tested" not in plan.reason + numbers.reason


@pytest.mark.parametrize(
    ("gain", "said"), [(-0.01, "forecast to raise the loss"), (0.001, "gained too little")]
)
def test_why_the_frozen_model_is_served(frame, tiny_embedded, monkeypatch, gain, said):
    """The forecast is a rise, or a fall that is not worth its time."""
    shift = float(bent(gain) - bent(plan_table(*frame).gain))
    moved = replace(shipped(), intercept=shipped().intercept + shift, threshold=9.0)
    monkeypatch.setattr(plan, "shipped", lambda: moved)
    found = plan_table(*frame)
    assert said in found.reason
    assert (found.adapt, found.n_steps, found.n_members) == (False, 0, 0)
    assert found.explain().endswith("Ask for n_steps=0.")
    assert "A fit would take about" in found.explain()


def test_another_model_is_planned_with_a_caveat(frame, tmp_path):
    path = tabicl_checkpoint(tmp_path, "classifier")
    assert "has not been tested for 'tabicl:" in plan_table(*frame, backbone=f"tabicl:{path}").reason


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"latency": 0.0}, "latency=0.0; expected a positive number"),
        ({"memory": -1}, "memory=-1; expected a positive number"),
        ({"latency": "fast"}, "latency='fast'; expected a positive number"),
        ({"latency": True}, "latency=True; expected a positive number"),
        ({"task": "clasify"}, "task='clasify'; expected classify or regress.*classify"),
        ({"backbone": "tabicle"}, "tabicl"),
    ],
)
def test_what_cannot_be_planned(frame, tiny_embedded, arguments, said):
    with pytest.raises(InputError, match=said):
        plan_table(*frame, **arguments)


def test_the_command(frame, tiny_embedded, tmp_path, capsys):
    path = tmp_path / "train.csv"
    frame[0].assign(bought=frame[1]).to_csv(path, index=False)
    code, said, _ = run(capsys, "plan", path, "--target", "bought")
    assert code == 0
    assert "Forecast: adapting changes the log loss" in said
    assert "testtime adapt" in said
    code, said, _ = run(capsys, "plan", path, "--target", "bought", "--json")
    assert code == 0
    assert set(json.loads(said)["signs"]) == set(NAMES)
    for arguments, words in (
        ((path,), "--target"),
        ((path, "--target", "bought", "--n", "4"), "a linear task"),
        ((path, "--target", "bought", "--noise", "0.0"), "a table together with --noise (the theory"),
        (
            (path, "--target", "bought", "--alignment", "even", "--step", "normalized"),
            "--alignment, --step (the theory",
        ),
        (("--n", "4"), "--k, --dim"),
        (
            ("--n", 4, "--k", 4, "--dim", 2, "--seed", 0, "--max-rows", 9),
            "no table together with --max-rows, --seed",
        ),
        ((path, "--target", "sold"), "no column 'sold'"),
        ((path, "--target", "bought", "--seed", "-1"), "--seed -1"),
    ):
        code, _, said = run(capsys, "plan", *arguments)
        assert code == 2
        assert words in said


def test_the_command_that_is_printed_does_what_was_planned(frame, tiny_embedded, tmp_path, capsys):
    path = tmp_path / "my table.csv"
    frame[0].assign(bought=frame[1]).to_csv(path, index=False)
    whole = plan_table(*frame)
    memory = (whole.curve[0].n_bytes + whole.curve[1].n_bytes) / 2
    code, said, _ = run(capsys, "plan", path, "--target", "bought", "--task", "classify", "--memory", memory)
    assert code == 0
    (line,) = [one for one in said.splitlines() if " with: testtime adapt " in one]
    command = shlex.split(line.partition(" with: testtime ")[2])
    command[command.index("--out") + 1] = str(tmp_path / "model")
    assert command[1] == str(path)
    assert command[command.index("--task") + 1] == "classify"
    n_context = int(command[command.index("--n-context") + 1])
    assert n_context == plan_table(*frame, memory=memory).n_context < whole.n_context
    extra = [] if "--n-steps" in command else ["--n-steps", 1]
    code, said, _ = run(capsys, *command, *extra, "--json")
    assert code == 0
    assert json.loads(said)["adaptation"]["n_context"] == n_context


@pytest.mark.parametrize("threshold", [9.0, -9.0])
def test_a_fit_may_follow_the_forecast(frame, tiny_embedded, monkeypatch, threshold):
    forecaster = replace(shipped(), threshold=threshold)
    monkeypatch.setattr(plan, "shipped", lambda: forecaster)
    record = TTTClassifier(adapt="planned", n_steps=2, n_members=2).fit(*frame).adaptation_
    skipped = any("not worth the training" in note for note in record.notes)
    assert (record.status.name == "SKIPPED") == skipped == (threshold > 0)
    assert (record.n_steps == 0) == skipped


def test_the_command_that_is_printed_allows_for_the_rows_that_are_held_out(tiny_embedded, tmp_path, capsys):
    """A budget for nearly all rows: a fifth of them is held out, and all others are within it."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(300, 3)), columns=list("abc"))
    table["bought"] = (table["a"] > 0).astype(int)
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    curve = plan_table(table[list("abc")], table["bought"]).curve
    memory = curve[-1].n_bytes + 0.75 * (curve[-1].n_bytes - curve[-2].n_bytes)
    code, said, _ = run(capsys, "plan", path, "--target", "bought", "--memory", memory)
    assert code == 0
    assert "--n-context 28" in said
    command = said.splitlines()[-1]
    assert "--n-context" not in command
    arguments = ["--target", "bought", "--memory", memory, "--max-rows", 250, "--seed", 3]
    assert "--max-rows 250 --seed 3" in run(capsys, "plan", path, *arguments)[1].splitlines()[-1]
