"""No page is drawn of a model that was changed on disk, whichever of its files it is."""

from __future__ import annotations

import shutil

import pytest

from tests.support.commands import run
from tests.support.tables import linear_table
from testtime import StoreError, TTTClassifier
from testtime.estimators.saved import save
from testtime.evaluation.saved import report_data


@pytest.fixture
def model(tiny_embedded, tmp_path):
    fitted = TTTClassifier(n_steps=0, n_members=1).fit(*linear_table(48, 2, seed=0))
    documents = {"training": {"target": "y"}, "curves": {"n": 1}}
    return save(fitted, tmp_path / "model", documents=documents)


def test_a_flipped_bit_of_any_file_is_refused(model, tmp_path, capsys):
    assert run(capsys, "report", model)[0] == 0
    (model / "report.html").unlink()
    names = sorted(path.name for path in model.iterdir() if path.stat().st_size)  # not of the lock
    assert {name.partition("-")[0] for name in names} >= {"arrays", "curves", "tensors", "training"}
    for name in names:
        copy = tmp_path / f"copy of {name}"
        shutil.copytree(model, copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(StoreError):
            report_data(copy)
        code, _, said = run(capsys, "report", copy)
        assert (code, "is damaged" in said) == (2, True)
        assert not (copy / "report.html").exists()
