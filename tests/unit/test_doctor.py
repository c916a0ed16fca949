"""What doctor looks at, and what it advises."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import run
from testtime.cli import doctor, machine


def test_extras_are_those_of_the_package_with_versions():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    stated = project["optional-dependencies"].items()
    found = machine.extras(f"{one}; extra == '{extra}'" for extra, packages in stated for one in packages)
    assert {"polars", "excel", "tabpfn", "gpt2", "ray", "serve"} <= set(found)
    assert set(machine.extras()) <= set(found)
    assert not {"dev", "docs", "all"} & set(found)
    assert machine.extras(["numpy>=1; extra == 'x'", "no-such-thing; extra == 'x'"])["x"] == {
        "numpy": np.__version__,
        "no-such-thing": None,
    }


def test_the_machine_is_described():
    found = machine.hardware()
    assert found["threads"] >= 1
    assert found["cpu_capability"]
    places = machine.places()
    assert places["temporary"]["writable"]
    assert places["here"]["path"] == os.getcwd()
    assert all(place["free_bytes"] > 0 for place in places.values())


def test_a_folder_that_is_not_there_is_looked_at_where_it_would_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "a" / "b"))
    assert machine.places()["checkpoints"]["writable"]
    assert machine.checkpoints()["tabicl"] == []
    snapshot = tmp_path / "a" / "b" / "models--jingang--TabICL" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "tabicl-classifier.ckpt").touch()
    (found,) = machine.checkpoints()["tabicl"]
    assert found.endswith("tabicl-classifier.ckpt")


def test_predictions_that_are_no_numbers_are_a_problem(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor,
        "_tiny_fit",
        lambda: {"tiny_fit_seconds": 1.0, "tiny_predict_seconds": 1.0, "predictions_finite": False},
    )
    code, said, _ = run(capsys, "doctor")
    assert code == 1
    assert "PROBLEM    Predictions of the tiny fit are no numbers" in said
    assert "everything works" not in said


@pytest.fixture
def healthy():
    place = {"path": "/cache", "writable": True, "free_bytes": 5e9}
    return {
        "extras": {"serve": {"fastapi": "1.0"}},
        "places": {"checkpoints": place},
        "checkpoints": {"tabicl": ["x.ckpt"]},
        "hardware": {"cpu_capability": "AVX2"},
    }


def test_nothing_is_advised_where_nothing_is_missing(healthy):
    assert machine.advice(healthy) == []


@pytest.mark.parametrize(
    ("room", "change", "said"),
    [
        (
            "extras",
            {"serve": {"fastapi": None, "uvicorn": "1"}},
            "fastapi not installed: pip install 'testtime[serve]'",
        ),
        ("checkpoints", {"tabicl": []}, "no checkpoint of tabicl"),
        ("hardware", {"cpu_capability": "DEFAULT"}, "no AVX2"),
        ("places", {"checkpoints": {"path": "/c", "writable": False, "free_bytes": 9e9}}, "set HF_HOME"),
        ("places", {"here": {"path": "/c", "writable": True, "free_bytes": 1e8}}, "0.1 GB left: make room"),
    ],
)
def test_each_thing_that_is_missing_has_advice(healthy, room, change, said):
    (line,) = machine.advice(healthy | {room: change})
    assert said in line
