"""Pretraining of the in-context GPT-2: recipes, prompts, kill and resume, the command."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from testtime.cli import main
from testtime.errors import InputError, StoreError
from testtime.experiments.in_context.pretrain import learning_rate, pretrain
from testtime.experiments.in_context.prompts import draw_prompts, link_family, prompt_size, task_variances
from testtime.experiments.in_context.recipes import Curriculum, Recipe, Steps, shipped_recipes
from testtime.models.gpt import GPTConfig, InContextGPT

TINY = """
problem = "gpt2-links"

[model]
dim = 4
width = 8
n_layer = 1
n_head = 2

[steps]
steps = 12
batch = 4
rows = 6
warmup = 3
log_every = 4
save_every = 4

[curriculum]
steps = 5
first_rows = 3
"""


def tiny(**steps) -> Recipe:
    shape = GPTConfig(dim=4, width=8, n_layer=1, n_head=2)
    plan = {"steps": 12, "batch": 4, "rows": 6, "warmup": 3, "log_every": 4, "save_every": 4} | steps
    return Recipe("gpt2-links", shape, steps=Steps(**plan), curriculum=Curriculum(5, 3))


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def log_of(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in ("step", "loss", "learning_rate")} for line in lines if "loss" in line]


def test_a_stopped_run_ends_with_the_same_weights_and_log(tmp_path):
    whole = pretrain(tiny(), tmp_path / "whole")
    for stop in (5, 1, 2, None):
        parts = pretrain(tiny(), tmp_path / "parts", stop_after=stop)
    assert whole.steps == parts.steps == 12
    assert digest(tmp_path / "whole") == digest(tmp_path / "parts")
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "parts")
    assert whole.loss == parts.loss
    assert [line["step"] for line in log_of(tmp_path / "whole")] == [4, 8, 12]


def test_another_seed_is_another_model(tmp_path):
    pretrain(tiny(), tmp_path / "one")
    pretrain(tiny(seed=1), tmp_path / "other")
    assert digest(tmp_path / "one") != digest(tmp_path / "other")


def test_the_callers_random_stream_is_left_alone(tmp_path):
    state = torch.random.get_rng_state()
    pretrain(tiny(), tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.slow
def test_a_killed_command_goes_on_and_ends_with_the_same_weights(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TINY.replace("steps = 12", "steps = 200", 1))
    pretrain(Recipe.read(recipe), tmp_path / "whole")
    words = ["pretrain", "--config", str(recipe), "--out", str(tmp_path / "killed")]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}  # as here; another number adds in another order
    process = subprocess.Popen(
        [sys.executable, "-m", "testtime", *words], stderr=subprocess.DEVNULL, env=threads
    )
    last = tmp_path / "killed" / "last.safetensors"
    deadline = time.monotonic() + 120
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    assert log_of(tmp_path / "killed")[-1] == log_of(tmp_path / "whole")[-1]
    whole, again = (
        InContextGPT.from_pretrained(tmp_path / name).state_dict() for name in ("whole", "killed")
    )
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_pretraining_teaches_to_use_the_context(tmp_path):
    shape = GPTConfig(dim=1, width=16, n_layer=1, n_head=2)
    recipe = Recipe(
        "gpt2-linear", shape, steps=Steps(steps=300, batch=32, rows=6, learning_rate=5e-3, warmup=20)
    )
    pretrain(recipe, tmp_path / "run")
    model = InContextGPT.from_pretrained(tmp_path / "run")
    X, y = (torch.as_tensor(part, dtype=torch.float32) for part in draw_prompts(recipe, 999_999))
    with torch.no_grad():
        errors = (model(X, y) - y).square().mean(0)
    assert errors[0] > 0.1, "the first row has nothing to go by"
    assert errors[3:].mean() < 0.4 * errors[0]


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    pretrain(tiny(), tmp_path / "run", stop_after=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(InputError, match=r"steps\.learning_rate was 0\.0015 and is 0\.1"):
        pretrain(tiny(learning_rate=0.1), tmp_path / "run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_damaged_checkpoint_is_refused(tmp_path):
    pretrain(tiny(), tmp_path / "run", stop_after=1)
    path = tmp_path / "run" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(StoreError, match=r"last\.safetensors is damaged.*Delete it"):
        pretrain(tiny(), tmp_path / "run")


@pytest.mark.parametrize(
    "what", ["a missing tensor", "another shape", "counters", "text as a counter", "a list"]
)
def test_a_checkpoint_of_other_content_is_refused(what: str, tmp_path):
    pretrain(tiny(), tmp_path / "run", stop_after=1)
    path = tmp_path / "run" / "last.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if what == "a missing tensor":
        del tensors["weight.0"]
    elif what == "another shape":
        tensors["weight.0"] = torch.zeros(3, 7)
    elif what == "a list":
        metadata["recipe"] = "[]"
    else:
        metadata["counters"] = (
            "3" if what == "counters" else metadata["counters"].replace('"step": 1', '"step": "x"')
        )
    save_file(tensors, path, metadata=metadata)
    expected = InputError if what == "a list" else StoreError
    with pytest.raises(expected, match=r"another recipe" if what == "a list" else r"is damaged.*Delete it"):
        pretrain(tiny(), tmp_path / "run")


def test_lines_of_the_log_that_are_no_records_are_dropped(tmp_path):
    pretrain(tiny(), tmp_path / "run", stop_after=1)
    log = tmp_path / "run" / "log.jsonl"
    log.write_bytes(log.read_bytes() + b"[1]\n\xff\xfe\n")
    pretrain(tiny(), tmp_path / "run")
    assert all(isinstance(json.loads(line), dict) for line in log.read_text(encoding="utf-8").splitlines())


def test_a_loss_that_is_no_number_is_an_error(tmp_path):
    for _ in range(2):  # found in the checkpoint, too
        with pytest.raises(
            InputError, match=r"the loss is nan after 12 steps.*lower \[steps\] learning_rate than 1e\+30"
        ):
            pretrain(tiny(learning_rate=1e30, clip=1e30), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("name", ["log.jsonl", "last.safetensors"])
def test_a_folder_in_the_place_of_a_file(name, tmp_path):
    (tmp_path / "run" / name).mkdir(parents=True)
    with pytest.raises(StoreError, match="is a folder; expected a plain file"):
        pretrain(tiny(), tmp_path / "run")


def test_all_files_have_the_mode_that_is_asked_for(tmp_path):
    pretrain(tiny(), tmp_path / "run")
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "run").iterdir()}
    assert len(modes) == 4
    assert len(set(modes.values())) == 1, modes


def test_a_device_without_numbers(tmp_path):
    with pytest.raises(InputError, match="device='meta'"):
        pretrain(tiny(), tmp_path / "run", device="meta")


def test_no_such_device(tmp_path):
    with pytest.raises(InputError, match="device='cudaa'"):
        pretrain(tiny(), tmp_path / "run", device="cudaa")
    assert not (tmp_path / "run").exists()


def test_prompts_are_tasks_of_the_family():
    recipe = Recipe("gpt2-links", GPTConfig(dim=6), steps=Steps(batch=3, rows=9))
    X, y = draw_prompts(recipe, 17)
    again = draw_prompts(recipe, 17)
    np.testing.assert_array_equal(X, again[0])
    assert X.shape == (3, 9, 6)
    assert not np.array_equal(X, draw_prompts(recipe, 18)[0])
    # The label depends on the hidden subspace alone.
    basis = link_family(recipe).subspace
    assert basis.shape == (6, 4)
    assert np.isfinite(y).all()


def test_linear_prompts_have_the_variances_of_the_recipe():
    recipe = Recipe("gpt2-linear", GPTConfig(dim=3), steps=Steps(batch=4000, rows=3))
    recipe = dataclasses.replace(recipe, task=dataclasses.replace(recipe.task, noise=0.0))
    np.testing.assert_allclose(task_variances(recipe), [0.2, 1.0, 1.8])
    X, y = draw_prompts(recipe, 0)
    beta = np.linalg.solve(X, y[..., None])[..., 0]
    np.testing.assert_allclose(beta.var(axis=0), [0.2, 1.0, 1.8], rtol=0.1)


def test_the_curriculum_grows_rows_and_inputs():
    recipe = Recipe("gpt2-linear", GPTConfig(dim=8), steps=Steps(rows=40), curriculum=Curriculum(100, 10, 2))
    assert [prompt_size(recipe, step) for step in (0, 50, 100, 500)] == [(10, 2), (25, 5), (40, 8), (40, 8)]
    X, _ = draw_prompts(recipe, 50)
    assert X.shape[1:] == (25, 8)
    assert not X[:, :, 5:].any()
    assert X[:, :, :5].all()


def test_the_rate_warms_up_and_falls():
    plan = Steps(steps=100, warmup=10, learning_rate=1.0, final=0.1)
    rates = [learning_rate(plan, step) for step in range(100)]
    assert rates[:3] == [0.1, 0.2, pytest.approx(0.3)]
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert all(one > other for one, other in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_can_be_run_quickly(name: str):
    quick = Recipe.load(name).quick()
    assert quick.steps.steps <= 200
    X, y = draw_prompts(quick, 0)
    assert np.isfinite(X).all()
    assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TINY.replace("width", "widht"), r"\[model\] has no setting 'widht'\. Did you mean 'width'"),
        (TINY.replace("[steps]", "[stps]"), r"section 'stps'\. Did you mean 'steps'"),
        (TINY.replace("gpt2-links", "gpt2-link"), "Did you mean 'gpt2-links'"),
        (
            TINY.replace("batch = 4", "batch = 'four'"),
            r"\[steps\] batch = 'four'; expected a value of type int",
        ),
        (TINY.replace("batch = 4", "batch = 0"), r"\[steps\] batch = 0; expected an integer of at least 1"),
        (TINY.replace("warmup = 3", "learning_rate = -1.0"), r"\[steps\] learning_rate = -1\.0"),
        (TINY.replace("warmup = 3", "final = nan"), r"\[steps\] final = nan; expected a number from 0 to 1"),
        (TINY.replace("warmup = 3", "warmup = -5"), r"\[steps\] warmup = -5"),
        (TINY.replace("warmup = 3", "beta2 = 1.0"), r"\[steps\] beta2 = 1\.0; expected .* below 1"),
        (TINY.replace("warmup = 3", "seed = -1"), r"\[steps\] seed = -1"),
        (TINY.replace("dim = 4", "dim = 3"), r"\[task\] rank = 4 with \[model\] dim = 3; expected 1 <= rank"),
        (TINY + "[task]\nnoise = -1.0\n", r"\[task\] noise = -1\.0"),
        (TINY + "[task]\nlink_centre = ['a']\n", r"\[task\] link_centre = .*expected finite numbers"),
        (TINY + "[task]\nvariances = [2.0, 1.0]\n", r"\[task\] variances = .*the smaller first"),
        (TINY + "[task]\nvariances = [1.0]\n", r"\[task\] variances = .*two positive numbers"),
        (
            TINY.replace("first_rows = 3", "first_rows = 0"),
            r"\[curriculum\] first_rows = 0; expected an integer",
        ),
        (TINY.replace("dim = 4", ""), r"\[model\] is incomplete"),
        (TINY.replace("n_head = 2", "n_head = 3"), "heads that divide"),
        (TINY.replace("n_layer = 1", "layout = 'interleaved'\nmax_rows = 5"), r"rows = 6; expected at most"),
        (TINY.replace("problem", "# "), "names no problem"),
        ("problem = ", "cannot be read"),
        ("model = 3\nproblem = 'gpt2-links'", r"model = 3; expected a section"),
    ],
)
def test_a_recipe_with_a_mistake(text: str, said: str, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        Recipe.read(path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gpt2-lnks", "--out", "x"], "Did you mean 'gpt2-links'"),
        ([], "no recipe was named"),
        (["gpt2-links"], "--out is missing"),
        (["gpt2-links", "--quick", "--out", __file__], "is a file; expected a folder"),
        (["gpt2-links", "--config", "a.toml", "--out", "x"], "both 'gpt2-links' and --config"),
        (["--config", "nowhere.toml", "--out", "x"], "nowhere.toml cannot be read"),
        (["gpt2-links", "--quick", "--device", "gpu9", "--out", "x"], "--device gpu9"),
    ],
)
def test_bad_words_end_with_a_sentence_and_code_2(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["pretrain", *words])
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_the_command_trains_and_says_so(tmp_path, capsys):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TINY)
    with pytest.raises(SystemExit) as stopped:
        main(["pretrain", "--config", str(recipe), "--out", str(tmp_path / "run"), "--json"])
    assert stopped.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 12
    assert InContextGPT.from_pretrained(tmp_path / "run").config.width == 8


def test_shipped_weights_are_small_and_of_their_recipes():
    folder = Path(str(files("testtime.experiments.in_context") / "weights"))
    models = sorted(path for path in folder.iterdir() if path.is_dir())
    assert models
    assert sum(path.stat().st_size for model in models for path in model.iterdir()) <= 2_000_000
    for model in models:
        assert InContextGPT.from_pretrained(model).config == Recipe.load(model.name).model


def test_the_shipped_model_learns_links_in_context():
    """Error against the first row, of which nothing is known: the context takes off most of it."""
    model = InContextGPT.from_pretrained(
        Path(str(files("testtime.experiments.in_context") / "weights" / "gpt2-links"))
    )
    X, y = (
        torch.as_tensor(part, dtype=torch.float32) for part in draw_prompts(Recipe.load("gpt2-links"), 10**6)
    )
    with torch.no_grad():
        errors = (model(X, y) - y).square().clamp(max=9.0).mean(0)
    assert errors[-16:].mean() < 0.4 * errors[:2].mean()
