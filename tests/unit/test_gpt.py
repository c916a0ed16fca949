"""The in-context GPT-2: what it may see, how it is stored, what it refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from testtime.errors import InputError, StoreError
from testtime.models.gpt import LAYOUTS, GPTConfig, InContextGPT

DIM, ROWS = 3, 7


def make(layout: str = "order-free", **changes) -> InContextGPT:
    torch.manual_seed(0)
    shape = {"dim": DIM, "width": 16, "n_layer": 2, "n_head": 2, "layout": layout, "max_rows": 8} | changes
    model = InContextGPT(GPTConfig(**shape)).double()
    with torch.no_grad():  # the initial weights are so small that mistakes would hide
        for value in model.parameters():
            if value.requires_grad and value.ndim == 2:
                value.mul_(5.0)
    return model


def prompt() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(2, ROWS, DIM + 1, generator=generator, dtype=torch.float64)
    return drawn[..., :DIM], drawn[..., DIM]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_sees_the_rows_before_it_and_not_its_own_answer(layout: str):
    model, (x, y) = make(layout), prompt()
    before = model(x, y)
    changed = y.clone()
    changed[:, 4] += 1.0
    after = model(x, changed)
    torch.testing.assert_close(after[:, :5], before[:, :5], rtol=0, atol=1e-12)
    assert (after[:, 5:] - before[:, 5:]).abs().min() > 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_answer_is_what_the_next_row_would_be_told(layout: str):
    model, (x, y) = make(layout), prompt()
    each = model(x, y)
    for n in range(ROWS):
        told = model.answer(x[:, :n], y[:, :n], x[:, n : n + 1])
        torch.testing.assert_close(told[:, 0], each[:, n], rtol=0, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_questions_do_not_see_each_other(layout: str):
    model, (x, y) = make(layout), prompt()
    together = model.answer(x[:, :4], y[:, :4], x[:, 4:])
    for q in range(3):
        alone = model.answer(x[:, :4], y[:, :4], x[:, 4 + q : 5 + q])
        torch.testing.assert_close(alone[:, 0], together[:, q], rtol=0, atol=1e-12)


def test_only_the_interleaved_layout_knows_positions():
    """One layer over the context cannot tell its order without positions."""
    x, y = prompt()
    order = torch.tensor([3, 1, 0, 2])
    for layout, same in (("order-free", True), ("interleaved", False)):
        model = make(layout, n_layer=1)
        first = model.answer(x[:, :4], y[:, :4], x[:, 4:])
        second = model.answer(x[:, order], y[:, order], x[:, 4:])
        assert torch.allclose(first, second, rtol=0, atol=1e-12) == same


def test_any_length_without_positions():
    model = make(max_rows=None)
    assert model(torch.zeros(1, 300, DIM).double(), torch.zeros(1, 300).double()).shape == (1, 300)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients(layout: str):
    model, (x, y) = make(layout, width=4), prompt()
    x, y = x[:1, :3].clone().requires_grad_(), y[:1, :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(model, (x, y))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_comes_back_from_disk(layout: str, tmp_path):
    model, (x, y) = make(layout).float(), [part.float() for part in prompt()]
    model.requires_grad_(False)  # a learner marks it so
    model.save_pretrained(tmp_path / "new" / "model")
    state = torch.random.get_rng_state()
    again = InContextGPT.from_pretrained(tmp_path / "new" / "model")
    assert torch.equal(torch.random.get_rng_state(), state), "loading draws nothing from the caller's stream"
    assert again.config == model.config
    assert torch.equal(again(x, y), model(x, y))
    assert sorted(path.name for path in (tmp_path / "new" / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def other() -> InContextGPT:
    model = make().float()
    with torch.no_grad():
        model.readout.bias.fill_(3.0)
    return model


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("at", range(5))
def test_a_save_that_is_stopped_leaves_the_old_model_or_the_new_one(at: int, error, tmp_path, monkeypatch):
    """Stopped before the step `at` of those that touch the disk, and there as a kill would: nothing is cleaned up."""
    first, second, (x, y) = make().float(), other(), [part.float() for part in prompt()]
    first.save_pretrained(tmp_path)
    done, replace, unlink = [], os.replace, Path.unlink

    def step(real):
        def do(*arguments, **options):
            if len(done) >= at:
                raise error("stopped")
            done.append(1)
            return real(*arguments, **options)

        return do

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", step(replace))
        patched.setattr(Path, "unlink", step(unlink))
        with pytest.raises((KeyboardInterrupt, StoreError)):
            second.save_pretrained(tmp_path)
    found = InContextGPT.from_pretrained(tmp_path)(x, y)
    assert torch.equal(found, first(x, y)) or torch.equal(found, second(x, y))
    for model in (second, first):
        model.save_pretrained(tmp_path)
        assert torch.equal(InContextGPT.from_pretrained(tmp_path)(x, y), model(x, y))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_save_that_the_disk_refuses_leaves_the_old_model_and_nothing_else(tmp_path, monkeypatch):
    make().float().save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = os.replace

    def refuse(source, target):
        if Path(target).name == "config.json":
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StoreError, match="disk full"):
        other().save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("folder", [None, 3, ["a"]])
def test_what_names_no_folder(folder):
    with pytest.raises(InputError, match="expected the name of a folder"):
        InContextGPT.from_pretrained(folder)
    with pytest.raises(InputError, match="expected the name of a folder"):
        make().save_pretrained(folder)


def test_half_precision_halves_the_file(tmp_path):
    model = make().float()
    for name, dtype in (("full", torch.float32), ("half", torch.float16)):
        model.save_pretrained(tmp_path / name, dtype=dtype)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    x, y = (part.float() for part in prompt())
    again = InContextGPT.from_pretrained(tmp_path / "half")
    torch.testing.assert_close(again(x, y), model(x, y), rtol=0, atol=0.02)


def test_every_damaged_byte_is_noticed(tmp_path):
    make().float().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 23):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StoreError, match="sha256"):
            InContextGPT.from_pretrained(tmp_path)
    for length in (0, 5, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="sha256"):
            InContextGPT.from_pretrained(tmp_path)


def test_a_model_of_another_shape_is_refused(tmp_path):
    make().float().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    described = json.loads(path.read_text())
    # heads leave no trace in the shapes of the tensors
    for change in ({"dim": 5}, {"n_head": 4}, {"layout": "interleaved", "max_rows": 8}):
        path.write_text(json.dumps(described | change))
        with pytest.raises(StoreError, match=r"config\.json was changed"):
            InContextGPT.from_pretrained(tmp_path)
    path.write_text(json.dumps(described | {"widht": 16}))
    with pytest.raises(StoreError, match="Did you mean 'width'"):
        InContextGPT.from_pretrained(tmp_path)
    path.write_text("{")
    with pytest.raises(StoreError, match="no model can be read"):
        InContextGPT.from_pretrained(tmp_path)
    with pytest.raises(StoreError, match="no model can be read"):
        InContextGPT.from_pretrained(tmp_path / "nowhere")


def test_files_without_settings_among_the_weights(tmp_path):
    """What older versions wrote: shapes are all that can be compared."""
    model = make().float()
    model.save_pretrained(tmp_path)
    weights, path = tmp_path / "model.safetensors", tmp_path / "config.json"
    weights.write_bytes(save(load_file(weights)))
    described = json.loads(path.read_text()) | {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    path.write_text(json.dumps(described))
    x, y = (part.float() for part in prompt())
    assert torch.equal(InContextGPT.from_pretrained(tmp_path)(x, y), model(x, y))
    path.write_text(json.dumps(described | {"dim": 5}))
    with pytest.raises(StoreError, match=r"embed\.weight.*\(16, 5\); expected \(16, 7\)"):
        InContextGPT.from_pretrained(tmp_path)


def test_weights_are_stored_as_floating_numbers(tmp_path):
    with pytest.raises(InputError, match=r"dtype=torch\.int8"):
        make().save_pretrained(tmp_path / "model", dtype=torch.int8)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layout": "interleafed"}, "Did you mean 'interleaved'"),
        ({"layout": "interleaved", "max_rows": None}, "a number of rows"),
        ({"width": 15}, "heads that divide"),
        ({"n_layer": 0}, "n_layer=0"),
        ({"dim": 2.5}, "dim=2.5"),
        ({"max_rows": 0}, "max_rows=0"),
        ({"max_rows": 2.5}, r"max_rows=2\.5"),
    ],
)
def test_shapes_that_cannot_be(change, said):
    with pytest.raises(InputError, match=said):
        dataclasses.replace(GPTConfig(dim=2, width=16, n_head=2), **change)


def test_prompts_that_do_not_fit():
    model, (x, y) = make("interleaved"), prompt()
    model.answer(x, y, x[:, :1])  # 7 rows and a question are the 8 that fit
    with pytest.raises(InputError, match="prompt of 9 rows; expected at most 8"):
        model.answer(torch.cat([x, x[:, :1]], 1), torch.cat([y, y[:, :1]], 1), x[:, :1])
    with pytest.raises(InputError, match=r"expected \(B, N, 3\)"):
        model(x[..., :2], y)
    with pytest.raises(InputError, match=r"expected \(B, N, 3\)"):
        model(x, y[:, :-1])
    for shape in (x[:, :1, :2], x[:1, :1], x[:, 0]):
        with pytest.raises(InputError, match=r"questions of shape .* expected \(2, Q, 3\)"):
            model.answer(x, y, shape)
    with pytest.raises(InputError, match=r"expected \(B, N, 3\)"):
        model(x[0], y[0])


def test_prompts_that_are_none():
    model, (x, y) = make(), prompt()
    for bad, said in [
        ((x.float(), y), r"x is of torch\.float32 on cpu; expected torch\.float64"),
        ((x, y.long()), r"y is of torch\.int64"),
        ((x.numpy(), y), "x is a ndarray; expected a tensor"),
        ((x, None), "y is a NoneType"),
        ((x, y.index_fill(1, torch.tensor([2]), math.nan)), "y holds values that are NaN"),
        ((x / 0.0, y), "x holds values that are NaN or infinite"),
        ((x[:0], y[:0]), "with B of at least 1"),
    ]:
        with pytest.raises(InputError, match=said):
            model(*bad)
        with pytest.raises(InputError, match=said):
            model.answer(*bad, x)
    with pytest.raises(InputError, match="a prompt of 0 rows; expected at least 1"):
        model(x[:, :0], y[:, :0])
    for questions, said in [
        (x.float(), "questions is of"),
        (np.zeros((2, 1, DIM)), "questions is a ndarray"),
        (x * math.nan, "questions holds values"),
        (x[:, :0], "with Q of at least 1"),
    ]:
        with pytest.raises(InputError, match=said):
            model.answer(x, y, questions)


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (7e4, torch.float16, "70000, too large for torch.float16"),
        (math.nan, torch.float32, "1 entries of 'readout.weight' are NaN or infinite"),
        (-math.inf, torch.float16, "1 entries of 'readout.weight' are NaN or infinite"),
    ],
)
def test_weights_that_would_not_come_back_are_not_written(value: float, dtype, said: str, tmp_path):
    model = make()
    with torch.no_grad():
        model.readout.weight[0, 0] = value
    with pytest.raises(InputError, match=said):
        model.save_pretrained(tmp_path / "there", dtype=dtype)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_weights_of_another_type_are_refused(dtype, tmp_path):
    make().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["readout.weight"] = tensors["readout.weight"].to(dtype)
    try:
        payload = save(tensors)
    except KeyError:
        pytest.skip("this version of safetensors cannot write it")
    (tmp_path / "model.safetensors").write_bytes(payload)
    described = json.loads((tmp_path / "config.json").read_text())
    described["sha256"] = hashlib.sha256(payload).hexdigest()
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(StoreError, match=f"tensor 'readout.weight' is of type {dtype}"):
        InContextGPT.from_pretrained(tmp_path)


def test_a_loaded_model_is_float32_whatever_torch_makes_by_default(tmp_path):
    make().save_pretrained(tmp_path)
    torch.set_default_dtype(torch.float64)
    try:
        loaded = InContextGPT.from_pretrained(tmp_path)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
