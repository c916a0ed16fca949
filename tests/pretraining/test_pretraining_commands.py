"""The commands, the model card and the ablation, on tiny models."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import pretraining
from pretraining import evaluate as evaluation
from pretraining.__main__ import main
from pretraining.ablation import AGAIN, FULL, ablate, ablation_table, variants
from pretraining.card import write_card
from pretraining.compare import compare
from pretraining.config import load_config
from pretraining.evaluate import Draws, read_results
from pretraining.export import export
from pretraining.prior import PriorConfig
from pretraining.summaries import Record
from pretraining.tasks import TASKS
from pretraining.train import train
from tests.support.made_up import SMALL_PRIOR, made_up, tiny_config
from testtime.errors import InputError

DRAWS = Draws((32, 128), 1, 100)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(tiny_config(), folder)
    return folder


# --- commands


def test_evaluate_writes_results_and_prints_every_table(run_folder, tmp_path, capsys, monkeypatch):
    export(run_folder / "last.safetensors", tmp_path)
    monkeypatch.setitem(TASKS, "classifier", replace(TASKS["classifier"], read=lambda name: made_up()))
    weights = str(tmp_path / "classifier.safetensors")
    rows = ["--tables", "made up", "--sizes", "32", "128", "--seeds", "1", "--test-rows", "60"]
    rows += ["--before", str(run_folder / "last.safetensors")]
    assert main(["evaluate", weights, "--out", str(tmp_path / "eval"), *rows]) == 0
    printed = capsys.readouterr().out
    assert "| mean rank of auc |" in printed
    assert "| log loss, model minus |" in printed
    records, about = read_results(tmp_path / "eval" / "results.json")
    assert about["task"] == "classifier"
    own = {"model", "model, 4 orders", "the model before", "the model before, 4 orders"}
    assert {r.method for r in records} == {*own, *TASKS["classifier"].baselines}
    scores = {(r.method, r.n): r.scores for r in records}
    assert scores["model", 128] == scores["the model before", 128]  # the same weights, exported and not
    assert len(list((tmp_path / "eval" / "cells").glob("*.json"))) == 3


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
    last["mean_with"] = [{"seed": 14, "step": 400, "tables": 4_000, "seconds": 240.0, "skipped": 0}]
    (tmp_path / "classifier.json").write_text(json.dumps(description | {"training": last}))
    evaluation.write_results(tmp_path / "results.json", [record], about)
    text = write_card(tmp_path, [tmp_path], tmp_path / "CARD.md")
    assert "1,500 steps, 25,000 synthetic tables, 15 minutes" in text
    assert "(1,000 steps, 20,000 tables, 10 minutes; 500 steps, 5,000 tables, 5 minutes)" in text
    assert "the mean with those of a run with seed 14 (400 steps, 4,000 tables, 4 minutes)" in text
    assert "the mean over 1 seed." in text
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
