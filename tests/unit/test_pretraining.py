"""The training loop, export and evaluation, on tiny models."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import pretraining
from pretraining.ablation import variants
from pretraining.card import write_card
from pretraining.checkpoint import read_checkpoint
from pretraining.config import Config, TrainConfig, load_config
from pretraining.evaluate import (
    Record,
    baselines_of,
    measure,
    paired_table,
    summary,
    summary_table,
    write_results,
)
from pretraining.export import export
from pretraining.methods import in_context, load_model, predict
from pretraining.metrics import scores
from pretraining.model import SMALL, build_model, lean_logits
from pretraining.pool import POOL_FEATURES, POOL_ROWS, Pool
from pretraining.prior import MAX_CLASSES, PriorConfig, sample_batch
from pretraining.tables import RealTable, split
from pretraining.train import learning_rate, make_state, progress, train, train_step

TINY = {
    **SMALL,
    "embed_dim": 8,
    "col_num_blocks": 1,
    "col_num_inds": 4,
    "row_num_blocks": 1,
    "icl_num_blocks": 2,
}
TINY |= {"row_num_cls": 2, "icl_nhead": 2}
SMALL_PRIOR = PriorConfig(cells=1500, rows=(32, 64), features=(2, 6), wide_share=0.0, kinds_per_batch=2)


def tiny_config(**changes) -> Config:
    settings = {"steps": 8, "warmup_steps": 2, "validation_batches": 1, "log_every": 2, "validate_every": 100}
    return Config(TrainConfig(**(settings | changes)), SMALL_PRIOR, TINY)


def make_pool() -> Pool:
    rng = torch.Generator().manual_seed(0)
    x = torch.zeros(3, POOL_ROWS, POOL_FEATURES, dtype=torch.float16)
    width = torch.tensor([2, 5, 20])
    for i, w in enumerate(width.tolist()):
        x[i, :, :w] = torch.randn(POOL_ROWS, w, generator=rng).half()
    y = (x[:, :, 0] > 0).to(torch.uint8)
    return Pool(x, y, width)


# --- the model and the loop


def test_lean_forward_equals_tabicl_bit_for_bit():
    model = build_model(TINY, 0).train()
    batch = sample_batch(SMALL_PRIOR, 0, 1)
    known = batch.y[:, : batch.n_context].float()
    assert torch.equal(model(batch.x, known), lean_logits(model, batch.x, known))


def test_training_lowers_the_loss_on_separable_tables():
    config = tiny_config(steps=60, lr=5e-3)
    config = replace(config, prior=replace(SMALL_PRIOR, sources={"experts": 1.0}, roughen=0.0, missing=0.0))
    state = make_state(config)
    losses = [train_step(state, config, None) for _ in range(60)]
    assert np.mean(losses[-15:]) < np.mean(losses[:10]) - 0.15


def test_resume_is_bit_identical(tmp_path):
    config = tiny_config()
    whole = train(config, tmp_path / "whole", pool=make_pool())
    train(config, tmp_path / "parts", pool=make_pool(), stop_after=3)
    parts = train(config, tmp_path / "parts", pool=make_pool())
    assert (whole.step, whole.tables) == (parts.step, parts.tables) == (8, whole.tables)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
    assert all(torch.equal(value, parts.ema[name]) for name, value in whole.ema.items())


def test_a_kill_between_checkpoints_repeats_the_lost_steps(tmp_path):
    config = tiny_config(log_every=1)
    train(config, tmp_path, stop_after=4)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 5, "loss": 1.0}) + "\n")
    train(config, tmp_path)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in entries if "event" not in e] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_an_update_that_is_not_finite_is_skipped():
    config = tiny_config()
    state = make_state(config)
    with torch.no_grad():
        state.model.icl_predictor.decoder[0].bias[0] = torch.nan
    before = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    train_step(state, config, None)
    assert state.skipped == 1
    for name, p in state.model.named_parameters():
        torch.testing.assert_close(p.detach(), before[name], rtol=0, atol=0, equal_nan=True)


def test_the_schedule_reaches_zero_by_steps_or_by_time():
    config = TrainConfig(steps=100, budget_seconds=50.0, warmup_steps=10, lr=1.0)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 50, 0.0) == pytest.approx(0.5)
    assert learning_rate(config, 50, 40.0) == pytest.approx(0.2)
    assert learning_rate(config, 100, 0.0) == 0.0
    assert progress(config, 3, 50.0) == 1.0
    assert progress(replace(config, budget_seconds=None), 3, 1e9) == pytest.approx(0.03)


def test_a_time_budget_stops_the_run(tmp_path):
    ticks = iter(range(10_000))
    config = tiny_config(steps=10_000, budget_seconds=30.0)
    state = train(config, tmp_path, clock=lambda: float(next(ticks)))
    assert 0 < state.step < 40


def test_the_shipped_configuration_is_valid_and_unknown_settings_are_refused(tmp_path):
    for path in (Path(pretraining.__file__).parent / "configs").glob("*.toml"):
        assert load_config(path).train.steps > 0
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[train]\nstep = 3\n")
    with pytest.raises(ValueError, match="step"):
        load_config(wrong)
    wrong.write_text("[trian]\n")
    with pytest.raises(ValueError, match="trian"):
        load_config(wrong)


# --- export and evaluation


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(tiny_config(), folder)
    return folder


@pytest.mark.parametrize("average", [True, False])
def test_exported_weights_predict_what_the_checkpoint_predicts(run_folder, tmp_path, average):
    description = export(run_folder / "last.safetensors", tmp_path, average=average)
    payload = (tmp_path / "classifier.safetensors").read_bytes()
    assert hashlib.sha256(payload).hexdigest() == description["sha256"]
    assert json.loads((tmp_path / "classifier.json").read_text()) == description
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 3, 40)
    exported = load_model(tmp_path / "classifier.safetensors")
    original = load_model(run_folder / "last.safetensors", average=average)
    got = predict(exported, x[:30], y[:30], x[30:], 2, 0)
    assert np.array_equal(got, predict(original, x[:30], y[:30], x[30:], 2, 0))
    tensors, _, _ = read_checkpoint(run_folder / "last.safetensors")
    name = "icl_predictor.decoder.0.weight"
    assert torch.equal(
        load_file(tmp_path / "classifier.safetensors")[name],
        tensors[("ema." if average else "model.") + name],
    )


def test_half_precision_export_stays_close(run_folder, tmp_path):
    export(run_folder / "last.safetensors", tmp_path / "half", half=True)
    export(run_folder / "last.safetensors", tmp_path / "full")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 2, 40)
    half, full = (load_model(tmp_path / name / "classifier.safetensors") for name in ("half", "full"))
    assert (
        abs(predict(half, x[:30], y[:30], x[30:], 1, 0) - predict(full, x[:30], y[:30], x[30:], 1, 0)).max()
        < 5e-3
    )


def test_class_codes_are_put_back_after_every_permutation(monkeypatch):
    def sure_of_the_first_row(model, x, y):
        logits = torch.zeros(1, x.shape[1] - y.shape[1], MAX_CLASSES)
        logits[:, :, int(y[0, 0])] = 50.0
        return logits

    monkeypatch.setattr("pretraining.methods.lean_logits", sure_of_the_first_row)
    x, y = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
    probability = predict(None, x[2:50], y[2:50], x[50:], 6, 0)
    np.testing.assert_allclose(probability, np.tile([0.0, 0.0, 1.0], (10, 1)), atol=1e-6)


def test_every_ablation_leaves_out_one_thing():
    prior = PriorConfig()
    made = variants(prior)
    assert made["full"] == prior
    changed = [name for name, other in made.items() if other != prior]
    assert len(changed) == len(made) - 1
    assert all(sum(other.sources.values()) > 0 for other in made.values())


def test_the_card_refuses_results_of_other_weights(run_folder, tmp_path):
    description = export(run_folder / "last.safetensors", tmp_path)
    record = Record("t", 128, 0, "model", 0.9, 0.8, 0.4, 0.05, 0.1)
    about = {"sha256": description["sha256"], "seeds": 1, "n_test": 100}
    write_results(tmp_path / "results.json", [record], about)
    text = write_card(tmp_path / "classifier.json", tmp_path / "results.json", tmp_path / "CARD.md")
    assert description["sha256"] in text
    assert "| model | **0.900** |" in text
    write_results(tmp_path / "results.json", [record], about | {"sha256": "0" * 64})
    rows = {"seeds": 1, "n_test": 100}
    assert baselines_of(tmp_path / "results.json", rows) == []
    with pytest.raises(ValueError, match="seeds=1, but 2"):
        baselines_of(tmp_path / "results.json", rows | {"seeds": 2})
    with pytest.raises(ValueError, match="the results are of weights 000000000000"):
        write_card(tmp_path / "classifier.json", tmp_path / "results.json", tmp_path / "CARD.md")


def test_split_is_nested_disjoint_and_has_every_class():
    y = np.repeat([0, 1, 2], [900, 95, 5])
    train_rows, test = split(y, [32, 128, 512, 1024], 300, 0)
    assert list(train_rows) == [32, 128, 512]
    assert set(train_rows[32]) < set(train_rows[128]) < set(train_rows[512])
    assert not set(train_rows[512]) & set(test)
    assert set(y[train_rows[32]]) == {0, 1, 2}
    assert len(test) == 300


def test_scores_on_predictions_with_known_quality():
    y = np.array([0, 0, 1, 1])
    right = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
    got = scores(right, y)
    assert got["auc"] == 1.0
    assert got["accuracy"] == 1.0
    assert got["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert got["calibration_error"] == pytest.approx(0.15)
    assert scores(right[:, ::-1], y)["auc"] == 0.0


def test_measure_gives_every_method_the_same_rows(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)).astype(np.float32)
    table = RealTable("made up", x, (x[:, 0] > 0).astype(np.int64), np.zeros(3, dtype=bool))
    monkeypatch.setattr("pretraining.evaluate.read_table", lambda name: table)
    seen = []

    def oracle(table, train_rows, test_rows, seed):
        seen.append((tuple(train_rows), tuple(test_rows)))
        p = np.where(table.x[test_rows, 0] > 0, 0.99, 0.01)
        return np.stack([1 - p, p], axis=1)

    model = in_context(build_model(TINY, 0).train(), 1)
    methods = {"oracle": oracle, "again": oracle, "untrained": model}
    records = measure(methods, ["made up"], sizes=[32, 128], seeds=1, n_test=100)
    assert seen[0] == seen[1]
    means = summary(records)
    assert means["auc"]["oracle"] == {32: 1.0, 128: 1.0}
    assert means["accuracy"]["again"][128] == 1.0
    assert "**1.000**" in summary_table(records)


def test_paired_differences_are_taken_table_by_table():
    def record(table, method, auc):
        return Record(table, 128, 0, method, auc, 0.8, 0.4, 0.05, 0.1)

    records = [record("a", "model", 0.9), record("b", "model", 0.6), record("a", "trees", 0.8)]
    records.append(record("b", "trees", 0.7 - 0.04))
    assert "| trees | +0.020 ± 0.080, 1/2 |" in paired_table(records, "model", "auc")
