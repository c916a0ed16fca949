"""The training loop and the export, on tiny models."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import pretraining
from pretraining.checkpoint import read_checkpoint
from pretraining.config import Config, TrainConfig, load_config
from pretraining.export import export
from pretraining.methods import class_orders, load_model
from pretraining.model import build_model, lean_logits
from pretraining.prior import sample_batch
from pretraining.together import meet
from pretraining.train import learning_rate, make_state, progress, train, train_step
from tests.support.made_up import SMALL_PRIOR, TINY, make_pool, tiny_config
from testtime.errors import InputError

# --- the model and the loop


def test_lean_forward_equals_tabicl():
    model = build_model(TINY, 0).train()
    batch = sample_batch(SMALL_PRIOR, 0, 1)
    known = batch.y[:, : batch.n_context].float()
    torch.testing.assert_close(lean_logits(model, batch.x, known), model(batch.x, known), atol=2e-6, rtol=0)


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


# --- two runs that meet


def test_two_runs_meet_and_go_on_with_the_mean_of_their_weights(tmp_path):
    def run(own: str, other: str, seed: int):
        settings = tiny_config(meet_every=4, initial_seed=0, seed=seed)
        return train(settings, tmp_path / own, peer=tmp_path / other)

    with ThreadPoolExecutor(2) as together:
        first, second = together.map(run, ("a", "b"), ("b", "a"), (1, 2))
    weights = dict(second.model.named_parameters())
    assert all(torch.equal(value, weights[name]) for name, value in first.model.named_parameters())
    assert all(torch.equal(value, second.ema[name]) for name, value in first.ema.items())
    assert first.tables != second.tables  # other batches
    (left, right), name = (
        ([load_file(tmp_path / f / "meeting-000008.safetensors") for f in "ab"]),
        "model.row_interactor.out_ln.weight",
    )
    torch.testing.assert_close(weights[name.removeprefix("model.")], (left[name] + right[name]) / 2)


def test_a_run_that_waits_in_vain_goes_on_alone(tmp_path):
    state = make_state(tiny_config())
    before = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    assert not meet(state, tmp_path, tmp_path / "nobody", patience=0.0)
    assert all(
        torch.equal(value, p) for value, p in zip(before.values(), state.model.parameters(), strict=True)
    )
    for state.step in range(1, 7):
        meet(state, tmp_path, tmp_path / "nobody", patience=0.0)
    assert len(list(tmp_path.glob("meeting-*.safetensors"))) == 3


# --- export


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
    got = class_orders(exported, x[:30], y[:30], x[30:], 2, 0)
    assert np.array_equal(got, class_orders(original, x[:30], y[:30], x[30:], 2, 0))
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
        abs(
            class_orders(half, x[:30], y[:30], x[30:], 1, 0)
            - class_orders(full, x[:30], y[:30], x[30:], 1, 0)
        ).max()
        < 5e-3
    )


# --- continuing from exported weights, and the clock


def test_the_mean_of_runs_with_other_seeds_is_written(run_folder, tmp_path):
    last = run_folder / "last.safetensors"
    tensors, _, _ = read_checkpoint(last)
    with safe_open(last, "pt") as file:
        metadata = file.metadata()
    moved = {name: value + 2 if name.startswith("ema.") else value for name, value in tensors.items()}
    save_file(moved, tmp_path / "other.safetensors", metadata=metadata)
    alone = export(last, tmp_path / "alone")
    mean = export(last, tmp_path / "mean", beside=[tmp_path / "other.safetensors"])
    one, two = (load_file(tmp_path / name / "classifier.safetensors") for name in ("alone", "mean"))
    assert all(torch.allclose(two[name], one[name] + 1, atol=1e-6) for name in one)
    assert "mean_with" not in alone["training"]
    assert [run["seed"] for run in mean["training"]["mean_with"]] == [
        alone["training"]["settings"]["train"]["seed"]
    ]
    config = json.loads(metadata["config"])
    config["train"]["start_from"] = "elsewhere.safetensors"
    save_file(moved, tmp_path / "stranger.safetensors", metadata=metadata | {"config": json.dumps(config)})
    with pytest.raises(InputError, match="began with other weights"):
        export(last, tmp_path / "none", beside=[tmp_path / "stranger.safetensors"])


def test_fitting_tensors_are_taken_and_the_others_stay_at_their_seed(run_folder, tmp_path):
    export(run_folder / "last.safetensors", tmp_path)
    given = load_file(tmp_path / "classifier.safetensors")
    plain = tiny_config(seed=9)
    numeric = {**TINY, "max_classes": 0, "num_quantiles": 9}
    started = replace(plain.train, start_from=str(tmp_path / "classifier.safetensors"))
    prior = replace(SMALL_PRIOR, regression=True)
    state = make_state(Config(started, prior, numeric))
    own = build_model(numeric, 9).state_dict()
    taken = {name for name in own if given[name].shape == own[name].shape}
    assert {name.split(".")[0] for name in set(own) - taken} == {"col_embedder", "icl_predictor"}
    assert all("y_encoder" in name or "decoder" in name for name in set(own) - taken)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, given[name] if name in taken else own[name]), name
    for name, value in state.ema.items():
        assert torch.equal(value, state.model.state_dict()[name])


def test_a_run_that_was_started_from_weights_says_so_when_it_is_exported(run_folder, tmp_path):
    first = export(run_folder / "last.safetensors", tmp_path / "first")
    settings = tiny_config(start_from=str(tmp_path / "first" / "classifier.safetensors"))
    train(settings, tmp_path / "run")
    second = export(tmp_path / "run" / "last.safetensors", tmp_path / "second")
    assert second["training"]["started_from"] == {"sha256": first["sha256"], "training": first["training"]}
    assert second["training"]["settings"]["train"]["start_from"] == "classifier.safetensors"
    assert str(tmp_path) not in (tmp_path / "second" / "classifier.json").read_text()


def test_a_run_whose_start_was_replaced_goes_on_and_is_not_exported_with_a_wrong_history(
    run_folder, tmp_path
):
    weights = tmp_path / "weights"
    export(run_folder / "last.safetensors", weights)
    settings = tiny_config(start_from=str(weights / "classifier.safetensors"))
    train(settings, tmp_path / "whole")
    train(settings, tmp_path / "parts", stop_after=3)
    export(run_folder / "last.safetensors", weights, average=False)
    parts = train(settings, tmp_path / "parts")
    whole, _, _ = read_checkpoint(tmp_path / "whole" / "last.safetensors")
    assert all(torch.equal(v, whole[f"model.{name}"]) for name, v in parts.model.state_dict().items())
    with pytest.raises(InputError, match="which the run started from"):
        export(tmp_path / "parts" / "last.safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("clock", "function"), [("cpu", "process_time"), ("wall", "monotonic")])
def test_the_budget_counts_the_seconds_of_the_named_clock(clock, function, tmp_path, monkeypatch):
    ticks = iter(range(100_000))
    monkeypatch.setattr("pretraining.train.time.process_time", lambda: 0.0)
    monkeypatch.setattr("pretraining.train.time.monotonic", lambda: 0.0)
    monkeypatch.setattr(f"pretraining.train.time.{function}", lambda: float(next(ticks)))
    state = train(tiny_config(steps=100_000, budget_seconds=30.0, clock=clock), tmp_path)
    assert 0 < state.step < 40
    assert state.seconds >= 30.0


def test_an_unknown_clock_and_a_head_of_the_other_task_are_refused():
    with pytest.raises(ValueError, match="sundial"):
        Config.from_dict({"train": {"clock": "sundial"}})
    with pytest.raises(ValueError, match="expected 0 classes for regression"):
        Config.from_dict({"prior": {"regression": True}})


def test_the_two_continuations_differ_in_the_inner_steps_only():
    folder = Path(pretraining.__file__).parent / "configs"
    plain, inner = (load_config(folder / f"continue_{name}.toml") for name in ("plain", "inner"))
    assert plain.train.clock == "cpu"
    assert plain.meta.inner_steps == 0 < inner.meta.inner_steps
    assert replace(plain, meta=inner.meta) == inner
