"""Commands and their files: what was noted about a table is said, and what is read is not written over."""

from __future__ import annotations

import pytest

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
