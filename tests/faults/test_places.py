"""Names that are no place, and what a process that is told to end leaves behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.adapters import load, save, tree
from tests.support.commands import run
from testtime.cli import main
from testtime.errors import InputError, StoreError
from testtime.store import open_adapter, refuse_existing
from testtime.store.leftovers import beside, is_leftover
from testtime.table import writers


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("\0x", r"'\\x00x' cannot be the name of a file or folder \(embedded null"),
        ("a/b\0", "cannot be the name"),
        ("", "empty name '' names no place"),
        ("x" * 300, r"'xxx[^ ]*'\.\.\. \(300 characters\) cannot be the name.*too long"),
        ("a/" * 3000, "cannot be the name.*too long"),
        ("\ud800", "cannot be the name"),
        (3, "3 names no place; expected the name of a file or folder, as text"),
        (None, "None names no place"),
        (b"model", "b'model' names no place"),
    ],
    ids=repr,
)
def test_names_that_are_no_place_are_refused(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    for call in (save, open_adapter, lambda place: refuse_existing(place, overwrite=True)):
        with pytest.raises(InputError, match=said):
            call(name)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_or_goes_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for name in ("file", "file/model", "file/a/b"):
        for call in (save, open_adapter):
            with pytest.raises(
                StoreError, match=r"exists|is 'file'|not a folder|holds no saved adapter|is not a folder"
            ):
                call(tmp_path / name)
        with pytest.raises(StoreError):
            save(tmp_path / name, overwrite=True)
    assert tree(tmp_path) == {"file": b"mine"}


def test_the_longest_name_of_a_file_system_is_good_enough(tmp_path):
    for name in ("x" * 255, "é" * 127):
        save(tmp_path / name, 1)
        save(tmp_path / name, 2, overwrite=True)
        assert load(tmp_path / name)[2]["number"] == 2


def _told_to_end(command: list[str], said: Path) -> None:
    """Run a command that gets a signal when it has written half of a file."""

    def told(frames, path, **options):
        path.write_text("half")
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("not reached")

    writers._WRITERS[".csv"] = told
    with said.open("w") as sys.stderr:
        main(command)


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_throughout):
    folder = tmp_path_factory.mktemp("told")
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"x": draw.normal(size=60), "z": draw.normal(size=60)})
    table.assign(y=np.where(table["x"] > 0, "a", "b")).to_csv(folder / "table.csv", index=False)
    command = ["adapt", f"{folder}/table.csv", "--target", "y", "--out", f"{folder}/model", "--n-steps", "0"]
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert not stopped.value.code
    return folder


def test_a_command_that_is_told_to_end_leaves_nothing(model, tmp_path):
    before = tree(model)
    command = ["predict", f"{model}/model", f"{model}/table.csv", "--out", f"{model}/out.csv"]
    process = multiprocessing.get_context("fork").Process(
        target=_told_to_end, args=(command, tmp_path / "said")
    )
    process.start()
    process.join(60)
    process.kill()  # of no effect unless it hangs
    assert process.exitcode == 128 + signal.SIGTERM
    said = (tmp_path / "said").read_text().splitlines()
    assert said[-1] == "testtime: interrupted; what was not reported as written was not."
    assert tree(model) == before


def test_what_a_killed_first_save_left_in_an_empty_folder_is_no_obstacle(tmp_path):
    """Only a kill can leave it: the folder counts as empty, and the save removes it."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    (tmp_path / "model").mkdir()
    left = beside(tmp_path / "model" / "manifest.json")
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{process.pid}-"))
    left.write_text("half")
    save(tmp_path / "model", 1, overwrite=True)
    assert not any(is_leftover(path.name) for path in (tmp_path / "model").iterdir())
    assert load(tmp_path / "model")[2]["number"] == 1


@pytest.mark.parametrize("out", ["out.xlsx", "out.csv/", "x" * 300 + ".csv", "out", "pipe.csv", "link.csv"])
def test_predict_refuses_what_it_cannot_write_before_it_reads_the_model(tmp_path, capsys, out, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("real.csv")
    (tmp_path / "out.csv").mkdir()
    before = sorted(os.listdir(tmp_path))
    code, _, said = run(capsys, "predict", "no-model", "no-table", "--out", out, "--overwrite")
    assert code == 2
    assert len(said.splitlines()) == 1
    assert "no-model" not in said
    assert sorted(os.listdir(tmp_path)) == before


def test_report_does_not_replace_a_page_of_the_user(model, capsys):
    page = Path(model) / "model" / "report.html"
    page.write_text("mine")
    code, _, said = run(capsys, "report", model / "model")
    assert (code, page.read_text()) == (2, "mine")
    assert "is a file that this adapter did not write" in said
    assert run(capsys, "report", model / "model", "--overwrite")[0] == 0
    assert "<svg" in page.read_text() or "<html" in page.read_text()
