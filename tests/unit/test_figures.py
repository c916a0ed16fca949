"""The figure framework: seeds, atomic cells, resumption, claims and exit codes."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Drawing

import testtime
from testtime.cli import main
from testtime.errors import InputError
from testtime.experiments import registry
from testtime.experiments.figure import Figure, config_hash, run
from testtime.results import Claim
from testtime.scale.cells import cell_seed
from testtime.scale.source import package_hash


@dataclass(frozen=True)
class Config:
    n_cells: int = 5
    bound: float = 10.0
    pause: float = 0.0
    seed: int = 3

    @classmethod
    def quick(cls) -> Config:
        return cls(n_cells=3)


def cells(config: Config) -> list[dict]:
    return [{"id": f"part={index}/{config.n_cells}", "scale": index + 1} for index in range(config.n_cells)]


def run_cell(config: Config, cell: dict, seed: np.random.SeedSequence) -> list[dict]:
    time.sleep(config.pause)
    draws = np.random.default_rng(seed).standard_normal((200, 300))
    product = draws.T @ draws  # a BLAS product: its last bits would depend on the number of threads
    return [{"scale": cell["scale"], "row": row, "value": product[row, row + 1]} for row in range(2)]


def claims(table: pd.DataFrame, config: Config) -> list[Claim]:
    largest = float(table["scale"].max())
    return [Claim(f"no scale is above {config.bound}", largest <= config.bound, largest, config.bound)]


def draw(table: pd.DataFrame, config: Config) -> Drawing:
    figure = Drawing()
    figure.subplots().plot(table["scale"], table["value"])
    return figure


TOY = Figure("toy", "a toy", "this test", Config, cells, run_cell, claims, draw)


@pytest.fixture
def known_toy(monkeypatch):
    """Make the toy a figure that the command line finds."""
    real = registry.find
    monkeypatch.setattr(registry, "names", lambda: ("toy", "linear-context"))
    monkeypatch.setattr(registry, "find", lambda name: TOY if name == "toy" else real(name))


def test_a_run_leaves_table_drawing_claims_and_manifest(tmp_path):
    result = run(TOY, Config(), tmp_path)
    assert result.holds
    assert (result.n_cells, result.n_computed) == (5, 5)
    folder = tmp_path / "toy"
    assert {path.name for path in folder.iterdir()} == {
        "toy.csv", "toy.svg", "toy.png", "claims.json", "manifest.json", "cells",
    }  # fmt: skip
    assert pd.read_csv(folder / "toy.csv").shape == (10, 3)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["config"] == {"n_cells": 5, "bound": 10.0, "pause": 0.0, "seed": 3}
    assert manifest["config_hash"] == config_hash(TOY, Config())
    assert set(manifest["files"]) == {"toy.csv", "toy.svg", "toy.png", "claims.json"}
    assert manifest["versions"]["numpy"] == np.__version__
    entry = manifest["cells"][2]
    seed = np.random.SeedSequence(entropy=entry["seed"]["entropy"], spawn_key=entry["seed"]["spawn_key"])
    assert seed.generate_state(4).tolist() == cell_seed(3, entry["id"]).generate_state(4).tolist()


def test_serial_and_two_workers_give_the_same_bytes(tmp_path):
    one = run(TOY, Config(), tmp_path / "one", n_jobs=1)
    two = run(TOY, Config(), tmp_path / "two", n_jobs=2)
    threads = run(TOY, Config(), tmp_path / "threads", n_jobs=2, backend="threading")
    for other in (two, threads):
        pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
        for role in ("table", "svg", "png", "claims"):
            with open(one.paths[role], "rb") as left, open(other.paths[role], "rb") as right:
                assert left.read() == right.read()


DAMAGED = {
    "text": lambda record: record | {"rows": "abc"},
    "no rows": lambda record: record | {"rows": []},
    "other rows": lambda record: record | {"rows": [{"a": 1}]},
    "lists": lambda record: record | {"rows": [[1]]},
    "a changed number": lambda record: record | {"rows": [{**record["rows"][0], "scale": 77}]},
    "no seconds": lambda record: record | {"seconds": "x"},
}


@pytest.mark.parametrize("damage", [*DAMAGED, "a folder"])
def test_a_cell_with_rows_that_were_changed_is_computed_again(damage, tmp_path):
    first = run(TOY, Config(n_cells=2), tmp_path)
    table = (tmp_path / "toy" / "toy.csv").read_bytes()
    path = next((tmp_path / "toy" / "cells").rglob("*.json"))
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_text(json.dumps(DAMAGED[damage](json.loads(path.read_text()))))
    again = run(TOY, Config(n_cells=2), tmp_path)
    assert (first.n_computed, again.n_computed) == (2, 1)
    assert (tmp_path / "toy" / "toy.csv").read_bytes() == table


def test_cells_of_older_versions_hold_no_hash_and_are_kept(tmp_path):
    run(TOY, Config(n_cells=2), tmp_path)
    for path in (tmp_path / "toy" / "cells").rglob("*.json"):
        record = json.loads(path.read_text())
        del record["rows_sha256"]
        path.write_text(json.dumps(record))
    assert run(TOY, Config(n_cells=2), tmp_path).n_computed == 0


def test_a_cell_does_not_depend_on_the_other_cells(tmp_path):
    def backwards(config):
        return cells(config)[::-1]

    forward = run(TOY, Config(), tmp_path / "a").table.sort_values(["scale", "row"], ignore_index=True)
    reverse = run(replace(TOY, cells=backwards), Config(), tmp_path / "b").table
    assert reverse["scale"].iloc[0] == 5
    pd.testing.assert_frame_equal(forward, reverse.sort_values(["scale", "row"], ignore_index=True))


def test_finished_cells_are_skipped_and_damaged_ones_are_not(tmp_path):
    first = run(TOY, Config(), tmp_path)
    again = run(TOY, Config(), tmp_path)
    assert again.n_computed == 0
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)
    files = sorted((tmp_path / "toy" / "cells").rglob("*.json"))
    assert len(files) == 5
    files[0].write_bytes(files[0].read_bytes()[:-7])
    files[1].write_text('{"cell": {"id": "another"}, "rows": [], "seconds": 0}')
    files[2].unlink()
    mended = run(TOY, Config(), tmp_path)
    assert mended.n_computed == 3
    pd.testing.assert_frame_equal(first.table, mended.table, check_exact=True)


def test_another_setting_or_seed_is_computed_anew(tmp_path):
    first = run(TOY, Config(), tmp_path)
    other = run(TOY, Config(seed=4), tmp_path)
    assert other.n_computed == 5
    assert not np.allclose(first.table["value"], other.table["value"])
    assert run(TOY, Config(), tmp_path).n_computed == 0


def hash_of_edited(tmp_path, monkeypatch, name, old="", new=""):
    """Return the hash of a figure whose module is written with one edit."""
    source = (
        "from matplotlib.figure import Figure as Drawing\n\n"
        "def cells(config):\n    return [{'id': 'a'}]\n\n"
        "def run_cell(config, cell, seed):\n    # a remark\n    return [{'value': 1}]\n\n"
        "def claims(table, config):\n    return []\n\n"
        "def draw(table, config):\n    return Drawing()\n"
    )
    assert old in source
    (tmp_path / f"{name}.py").write_text(source.replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    figure = Figure("toy", "", "", Config, module.cells, module.run_cell, module.claims, module.draw)
    return config_hash(figure, Config())


def test_cells_are_computed_anew_when_their_code_changes_and_not_for_a_better_drawing(tmp_path, monkeypatch):
    first = hash_of_edited(tmp_path, monkeypatch, "edit_none")
    for name, old, new in (("draw", "Drawing()", "Drawing(dpi=80)"), ("claim", "return []", "return [1]"),
                           ("comment", "a remark", "another")):  # fmt: skip
        assert hash_of_edited(tmp_path, monkeypatch, f"edit_{name}", old, new) == first
    assert hash_of_edited(tmp_path, monkeypatch, "edit_value", "'value': 1", "'value': 2") != first
    assert hash_of_edited(tmp_path, monkeypatch, "edit_cells", "'id': 'a'", "'id': 'b'") != first


def test_a_formula_that_a_figure_reaches_only_through_others_makes_its_cells_stale(tmp_path):
    room = Path(testtime.__file__).parent
    for folder in ("same", "remark", "formula"):
        shutil.copytree(
            room / "theory", tmp_path / folder / "theory", ignore=shutil.ignore_patterns("__pycache__")
        )
    edit(tmp_path / "remark" / "theory" / "linear" / "moments.py", "\ndef ", "\n# a remark\ndef ")
    edit(tmp_path / "formula" / "theory" / "linear" / "moments.py", "2.0", "2.5")
    same, remark, formula = (package_hash(tmp_path / name, ()) for name in ("same", "remark", "formula"))
    assert same == remark
    assert same != formula
    shown = tmp_path / "same" / "cli"
    shown.mkdir()
    (shown / "words.py").write_text("GREETING = 'hello'\n")
    assert package_hash(tmp_path / "same", ("main",)) == package_hash(tmp_path / "remark", ("main",))


def edit(path, old, new):
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new, 1))


def test_a_killed_run_goes_on_where_it_ended(tmp_path):
    setting = Config(n_cells=30, bound=50.0, pause=0.05)
    process = multiprocessing.get_context("forkserver").Process(target=run, args=(TOY, setting, tmp_path))
    process.start()
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.rglob("cells/*/part*.json"))) < 3:
            assert time.monotonic() < deadline, "no cell was finished within a minute"
            time.sleep(0.02)
    finally:
        process.kill()
        process.join()
    assert not (tmp_path / "toy" / "manifest.json").exists()
    n_finished = len(list(tmp_path.rglob("cells/*/part*.json")))
    assert config_hash(TOY, setting) != config_hash(TOY, Config())
    result = run(TOY, setting, tmp_path)
    assert result.n_computed == 30 - n_finished
    assert n_finished >= 3
    fresh = run(TOY, replace(setting, pause=0.0), tmp_path / "fresh")
    pd.testing.assert_frame_equal(result.table, fresh.table, check_exact=True)


def test_a_failing_cell_keeps_the_finished_ones(tmp_path):
    def breaks(config, cell, seed):
        if cell["scale"] == 4:
            raise ZeroDivisionError("the fourth cell")
        return run_cell(config, cell, seed)

    with pytest.raises(ZeroDivisionError, match="fourth"):
        run(replace(TOY, run_cell=breaks), Config(), tmp_path)
    assert len(list((tmp_path / "toy" / "cells").rglob("*.json"))) == 3
    assert list(tmp_path.rglob("*.part")) == []


def test_two_cells_with_one_id_are_refused(tmp_path):
    twice = replace(TOY, cells=lambda config: cells(config)[:1] * 2)
    with pytest.raises(InputError, match=r"two cells have the id 'part=0/5'"):
        run(twice, Config(), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"), [({"n_jobs": 0}, "n_jobs=0"), ({"backend": "abacus"}, "abacus")]
)
def test_workers_that_cannot_be_had_are_refused(tmp_path, arguments, said):
    with pytest.raises(InputError, match=said):
        run(TOY, Config(), tmp_path, **arguments)


def test_command_exits_0_when_claims_hold(tmp_path, capsys, known_toy):
    with pytest.raises(SystemExit) as stop:
        main(["figure", "toy", "--quick", "--jobs", "1", "--out", str(tmp_path), "--json"])
    assert stop.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["holds"] is True
    assert told["n_cells"] == 3


def test_command_exits_1_and_names_the_claim_that_fails(tmp_path, capsys, monkeypatch, known_toy):
    monkeypatch.setattr(registry, "find", lambda name: replace(TOY, config=Strict))
    with pytest.raises(SystemExit) as stop:
        main(["figure", "toy", "--quick", "--jobs", "1", "--out", str(tmp_path)])
    assert stop.value.code == 1
    seen = capsys.readouterr()
    assert "a claim of figure 'toy' does not hold: no scale is above 2.0" in seen.err
    assert "FAILS" in seen.out


def test_command_says_that_finished_cells_are_kept_when_interrupted(tmp_path, capsys, monkeypatch, known_toy):
    def interrupted(config, cell, seed):
        if cell["scale"] == 3:
            raise KeyboardInterrupt
        return run_cell(config, cell, seed)

    monkeypatch.setattr(registry, "find", lambda name: replace(TOY, run_cell=interrupted))
    with pytest.raises(SystemExit) as stop:
        main(["figure", "toy", "--jobs", "1", "--out", str(tmp_path)])
    assert stop.value.code == 1
    assert "interrupted; finished cells are kept" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("cells/*/*.json"))) == 2


@dataclass(frozen=True)
class Strict(Config):
    @classmethod
    def quick(cls) -> Strict:
        return cls(n_cells=3, bound=2.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["figure", "linear-contxt", "--out", "x"], "Did you mean 'linear-context'?"),
        (["figure", "--out", "x"], "no figure was named"),
        (["figure", "linear-context", "--out", __file__], "is a file; expected a folder"),
        (["figure", "linear-context", "--out", f"{__file__}/x"], "is a file; expected a folder"),
        (["figure", "linear-context", "--all", "--out", "x"], "both 'linear-context' and --all"),
    ],
)
def test_command_exits_2_with_one_sentence(capsys, arguments, said):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    seen = capsys.readouterr()
    assert said in seen.err
    assert seen.err.count("\n") == 1
    assert seen.out == ""


@pytest.mark.parametrize("place", ["toy", "toy/cells"])
def test_command_exits_2_when_a_file_lies_where_a_folder_of_the_figure_goes(
    tmp_path, capsys, known_toy, place
):
    blocked = tmp_path / place
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("older")
    with pytest.raises(SystemExit) as stop:
        main(["figure", "toy", "--quick", "--jobs", "1", "--out", str(tmp_path)])
    seen = capsys.readouterr()
    assert (stop.value.code, seen.out, seen.err.count("\n")) == (2, "", 1)
    assert f"{blocked} is a file; expected a folder" in seen.err
    assert blocked.read_text() == "older"


def test_seed_option_changes_the_rows(tmp_path, known_toy, capsys):
    for seed in ("1", "2"):
        with pytest.raises(SystemExit) as stop:
            main(["figure", "toy", "--quick", "--seed", seed, "--jobs", "1", "--out", str(tmp_path / seed)])
        assert stop.value.code == 0
    one, two = (pd.read_csv(tmp_path / seed / "toy" / "toy.csv") for seed in ("1", "2"))
    assert not np.allclose(one["value"], two["value"])
