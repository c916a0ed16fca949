"""Commands and their files: what was noted about a table is said, and what is read is not written over."""

from __future__ import annotations

import os

import numpy as np
import pytest

import testtime
from tests.support.commands import run

pytestmark = pytest.mark.usefixtures("tiny_throughout")

PLAIN = ("--n-steps", 0, "--n-members", 1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with a training table of four columns."""
    folder = tmp_path_factory.mktemp("lab")
    rows = "".join(f"{20 + i % 11},{6 + i % 3},0.{i * 7 % 89 + 10},{'ab'[i % 2]}\n" for i in range(100))
    (folder / "train.csv").write_text("temp,ph,od,y\n" + rows)
    return folder


@pytest.fixture
def model(lab, tiny_throughout, capsys):
    """A model of that table."""
    if not (lab / "model").exists():
        done = run(capsys, "adapt", lab / "train.csv", "--target", "y", "--out", lab / "model", *PLAIN)
        assert done[0] == 0, done
    return lab / "model"


def test_values_stay_under_their_names_when_predicted(model, capsys, tmp_path):
    told = {}
    for name, header in [("named", "temp,ph,od,remark"), ("shifted", "temp,ph,od")]:
        (tmp_path / f"{name}.csv").write_text(f"{header}\n20,7,0.5,\n25,6,0.5,repeat\n30,8,0.5,\n")
        out = tmp_path / f"{name}.out.csv"
        code, _, told[name] = run(capsys, "predict", model, tmp_path / f"{name}.csv", "--out", out)
        assert code == 0
    assert (tmp_path / "named.out.csv").read_bytes() == (tmp_path / "shifted.out.csv").read_bytes()
    assert "shifted.csv: the header has a name less than the rows have values" in told["shifted"]
    assert "a name less" not in told["named"]


@pytest.mark.parametrize("how", ["same", "link to it", "link of it", "hard link", "other spelling"])
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_table_that_is_read_is_not_written_over(model, capsys, tmp_path, how, overwrite):
    table = tmp_path / "t.csv"
    table.write_text("temp,ph,od,y\n20,7,0.5,a\n")
    read, out = table, table
    if how == "link to it":
        out = tmp_path / "link.csv"
        out.symlink_to(table)
    if how == "link of it":
        read = tmp_path / "link.csv"
        read.symlink_to(table)
    if how == "hard link":
        out = tmp_path / "hard.csv"
        os.link(table, out)
    if how == "other spelling":
        out = tmp_path / "." / ".." / tmp_path.name / "t.csv"
    for command in (["predict", model, read], ["report", model, "--table", read]):
        code, _, said = run(capsys, *command, "--out", out, *overwrite)
        assert code == 2
        assert "is the table that is read; expected another file (the table would be lost)" in said
        assert table.read_text().startswith("temp,ph")


def test_another_table_that_is_there_is_written_over_when_asked(model, lab, capsys, tmp_path):
    out = tmp_path / "t.csv"
    out.write_bytes((lab / "train.csv").read_bytes())
    assert run(capsys, "predict", model, lab / "train.csv", "--out", out, "--overwrite")[0] == 0
    assert out.read_text().startswith("prediction,")


@pytest.mark.parametrize(("names", "others"), [(["0", "1"], ["b", "a"]), (["a", "b"], ["0", "1"])])
def test_a_model_of_a_file_knows_columns_by_name(names, others, capsys, tmp_path):
    rows = "".join(f"{i * 7 % 50},{i * 13 % 40 + 100},{'uv'[i % 7 < 3]}\n" for i in range(100))
    (tmp_path / "train.csv").write_text(f"{','.join(names)},y\n{rows}")
    model = tmp_path / "model"
    assert run(capsys, "adapt", tmp_path / "train.csv", "--target", "y", "--out", model, *PLAIN)[0] == 0
    out = tmp_path / "out.csv"
    written = {}
    for order in (1, -1):
        (tmp_path / "new.csv").write_text("\n".join(",".join(row[::order]) for row in (names, ["3", "110"])))
        assert run(capsys, "predict", model, tmp_path / "new.csv", "--out", out, "--overwrite")[0] == 0
        written[order] = out.read_bytes()
    assert written[1] == written[-1]
    (tmp_path / "new.csv").write_text(f"{','.join(others)},y\n3,110,u\n4,120,v\n")
    predict = ["predict", model, tmp_path / "new.csv", "--out", out, "--overwrite"]
    for command in (predict, ["report", model, "--table", tmp_path / "new.csv"]):
        code, _, said = run(capsys, *command)
        assert code == 2
        assert (
            f"new.csv' has no column '{names[0]}' and 1 more; expected the 2 columns of the training table"
            in said
        )


def test_a_model_of_an_array_takes_columns_by_position(capsys, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    testtime.TTTClassifier(n_steps=0, n_context=32).fit(x, x[:, 0] > 0).save(tmp_path / "model")
    (tmp_path / "new.csv").write_text("b,a\n3,110\n")
    assert (
        run(capsys, "predict", tmp_path / "model", tmp_path / "new.csv", "--out", tmp_path / "out.csv")[0]
        == 0
    )
