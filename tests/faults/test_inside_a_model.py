"""Whatever a command writes, it does not write into the folder of a saved model."""

import os

import pytest

from tests.support.adapters import save
from tests.support.commands import run
from testtime.errors import StoreError
from testtime.store.places import refuse_inside

COMMANDS = [
    ["report", "other", "--out", "{}/mine.html", "--overwrite"],
    ["report", "other", "--out", "{}/manifest.json", "--overwrite"],
    ["predict", "other", "table.csv", "--out", "{}/out.csv", "--overwrite"],
    ["plan", "--n", "10", "--k", "10", "--dim", "3", "--plot", "{}/plan.svg"],
    ["plan", "--n", "10", "--k", "10", "--dim", "3", "--plot", "{}/plots/plan.svg"],
    ["figure", "linear-context", "--quick", "--out", "{}"],
    ["figure", "linear-context", "--quick", "--out", "{}/figures"],
    ["pretrain", "gpt2-linear", "--quick", "--out", "{}"],
    ["adapt", "table.csv", "--target", "y", "--out", "{}/again"],
    ["adapt", "table.csv", "--target", "y", "--by", "shop", "--out", "{}/store"],
    ["demo", "--quick", "--out", "{}/demo"],
]


def files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:1] + words[-1:]))
def test_nothing_is_written_into_a_saved_model(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "model", 1)
    (tmp_path / "link").symlink_to("model")
    before = files(tmp_path)
    for place in ("model", os.fspath(tmp_path / "model"), "link", "model/../model"):
        code, out, said = run(capsys, *(word.format(place) for word in command))
        assert (code, out) == (2, "")
        assert len(said.splitlines()) == 1
        assert "would be written into the saved model" in said
        assert files(tmp_path) == before


def test_a_damaged_model_is_one_and_a_manifest_of_others_is_none(tmp_path):
    save(tmp_path / "model", 1)
    manifest = tmp_path / "model" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(StoreError, match="into the saved model"):
        refuse_inside(tmp_path / "model" / "a" / "b.csv")
    refuse_inside(tmp_path / "model.csv")
    refuse_inside(tmp_path / "model")  # a save may replace it
    manifest.write_text('{"name": "an extension of a browser"}')
    refuse_inside(tmp_path / "model" / "b.csv", itself=True)
