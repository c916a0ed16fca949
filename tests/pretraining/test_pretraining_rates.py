"""Rates learned from synthetic tables, and curves over weights on their way, on tiny models."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pretraining.__main__ import main
from pretraining.card import write_card
from pretraining.curve import curve
from pretraining.evaluate import Draws, write_results
from pretraining.export import export
from pretraining.model import build_model
from pretraining.rates import Rates, RatesConfig, adapt_to, learn_rates, score
from pretraining.summaries import Record
from pretraining.tasks import TASKS
from pretraining.train import train
from tests.support.made_up import QUANTILES, SMALL_PRIOR, TINY, made_up, tiny_config
from testtime.adapt.learner import Rows
from testtime.adapt.task import Classes, Numbers
from testtime.backbones.tabicl_learner import TabICLClassifierLearner, TabICLRegressorLearner
from testtime.errors import InputError

QUICK = RatesConfig(rows=240, adapters=2, steps=3, updates=2, tables=2)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(tiny_config(keep_every=4), folder)
    return folder


def a_table(*, numeric: bool = False) -> Rows:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 4))
    y = x[:, 0] + 0.5 * x[:, 1] * x[:, 2]
    return Rows(torch.as_tensor(x), torch.as_tensor(y if numeric else (y > 0).astype(np.int64)))


def learner_of(*, numeric: bool):
    if numeric:
        return TabICLRegressorLearner(build_model(QUANTILES, seed=1).double()), Numbers()
    return TabICLClassifierLearner(build_model(TINY, seed=1).double(), 2), Classes(2)


# --- the derivative


@pytest.mark.parametrize("numeric", [False, True])
def test_slopes_are_derivatives_of_what_is_served(numeric, monkeypatch):
    """With small steps the gradients of the steps hardly depend on the rates, and the first order is all there is."""
    learner, task = learner_of(numeric=numeric)
    rows, outer = a_table(numeric=numeric), torch.arange(180, 240)
    monkeypatch.setattr(
        "pretraining.rates.LEAST_WEIGHT", 1.0
    )  # the weight must not change with the rates either
    config = replace(QUICK, learning_rate=1e-5)

    def served_loss(rates: Rates) -> float:
        found = []
        monkeypatch.setattr("pretraining.rates.score", lambda *a: found.append(score(*a).mean()) or score(*a))
        assert adapt_to(learner, task, rows, 180, outer, rates, config, seed=3)
        return float(found[0].detach())

    found = adapt_to(learner, task, rows, 180, outer, Rates(), config, seed=3)
    assert found is not None
    module, step = "row_interactor.tf_row.blocks.0", 0.5
    up, down = (served_loss(Rates(own={module: sign * step})) for sign in (1, -1))
    own = sum(slope for key, slope in found.slopes.items() if key.startswith(module + "."))
    # A change is proportional to the rate, so the derivative by its logarithm is a quotient of sinh.
    frozen = served_loss(Rates(own=dict.fromkeys(found.slopes, -50.0)))
    assert own == pytest.approx((up - down) / (2 * math.sinh(step)) / frozen, rel=0.02)


def test_rates_move_against_the_slopes_and_modules_move_together():
    rates = Rates()
    first, second, other = (
        f"col_embedder.tf_col.blocks.{i}.multihead_attn1.{part}:offset"
        for i, part in ((0, "norm1.weight"), (0, "linear1.bias"), (1, "norm1.weight"))
    )
    for _ in range(3):
        rates.move({first: 0.01, second: 0.0, other: -0.02}, 0.1)
    made = rates.of(dict.fromkeys((first, second, other)))
    assert made[first] < made[second] < 1 < made[other]
    assert made[second] == pytest.approx(math.exp(-0.3))  # of its module only


def test_learning_goes_on_after_a_kill_and_refuses_rates_of_other_settings(run_folder, tmp_path):
    weights = run_folder / "last.safetensors"
    prior = replace(SMALL_PRIOR, features=(3, 4))
    whole = learn_rates(weights, prior, QUICK, tmp_path / "whole", pool=None)
    one = tmp_path / "parts"
    calls = []

    def stop(self, slopes, pace, move=Rates.move):
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(pace)
        move(self, slopes, pace)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rates, "move", stop)
        with pytest.raises(KeyboardInterrupt):
            learn_rates(weights, prior, QUICK, one, pool=None)
    assert len(json.loads((one / "rates.json").read_text())["history"]) == 1
    assert learn_rates(weights, prior, QUICK, one, pool=None) == whole
    assert len(whole["history"]) == 2
    assert len(set(whole["rates"].values())) > 5
    with pytest.raises(InputError, match="rates of other weights or settings"):
        learn_rates(weights, prior, replace(QUICK, seed=2), one, pool=None)


def test_the_command_prints_a_rate_for_every_tensor_of_an_adapter(run_folder, tmp_path, capsys):
    settings = tmp_path / "prior.toml"
    settings.write_text("[prior]\nfeatures = [2, 3]\nwide_share = 0.0\n")
    given = [
        str(run_folder / "last.safetensors"),
        "--config",
        str(settings),
        "--out",
        str(tmp_path / "rates"),
    ]
    assert main(["rates", *given, "--updates", "1", "--tables", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    model = build_model(TINY, seed=0)
    encoders = [name for name, _ in model.named_parameters() if not name.startswith("icl_predictor")]
    assert {line.split()[1] for line in printed} == {name for name in encoders if "rope" not in name}


# --- curves


def test_a_curve_goes_over_snapshots_and_exported_weights_in_order(run_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "classifier", replace(TASKS["classifier"], read=lambda name: made_up()))
    description = export(run_folder / "last.safetensors", tmp_path)
    exported = tmp_path / "classifier.safetensors"
    earlier = json.loads(json.dumps(description))
    earlier["training"]["started_from"] = {"sha256": "0", "training": description["training"]}
    (tmp_path / "classifier.json").write_text(json.dumps(earlier))
    points = curve([run_folder, exported], ["made up"], Draws((32,), 1, 60), development=True)
    assert [point["step"] for point in points] == [4, 8, 16]
    assert points[1]["auc"] == points[2]["auc"]  # the same weights
    assert points[2]["tables"] == 2 * points[1]["tables"]
    with pytest.raises(InputError, match="exported weights"):
        curve([tmp_path / "nowhere"], None, Draws((32,), 1, 60), development=True)
    record = Record("t", 128, 0, "model", "model", {"auc": 0.9, "log_loss": 0.4}, 0.1)
    about = {"task": "classifier", "seeds": 1, "n_test": 60, "tables": ["t"], "sha256": description["sha256"]}
    write_results(tmp_path / "results.json", [record], about)
    points = [{**point, "auc": {"32": 0.5}, "log_loss": {"32": 1.0}} for point in points]
    kept = {"seeds": 1, "n_test": 60, "development": True, "points": points}
    (tmp_path / "curve.json").write_text(json.dumps(kept))
    text = write_card(tmp_path, [tmp_path], tmp_path / "CARD.md")
    assert "one order, development tables, 1 seed, at most 60 test rows" in text
    assert f"| 16 | {points[2]['tables']} | 0 | 0.500 | 1.000 |" in text
