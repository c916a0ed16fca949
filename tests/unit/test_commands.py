"""``adapt``, ``predict`` and ``report`` on a small table: what they print and write; the numbers of Python."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import testtime
from tests.support.adapters import document
from tests.support.commands import bought_table, run
from testtime.cli import main
from testtime.evaluation.splits import hold_out
from testtime.table.readers import read_table


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, tiny_throughout):
    """A folder with a training file, new rows, and a model made by the command."""
    folder = tmp_path_factory.mktemp("adapted")
    bought_table().to_csv(folder / "train.csv", sep=";", decimal=",", index=False)
    bought_table(150, seed=1).to_csv(folder / "held.csv", index=False)
    bought_table(150, seed=1).to_csv(folder / "same.csv", sep=";", decimal=",", index=False)
    bought_table(150, seed=1).drop(columns="bought").to_parquet(folder / "new.parquet")
    arguments = [
        "adapt",
        folder / "train.csv",
        "--target",
        "bought",
        "--out",
        folder / "model",
        "--n-steps",
        2,
        "--n-members",
        2,
    ]
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in [*arguments, "--n-context", 32, "--json"]])
    assert not stopped.value.code
    return folder


def test_adapt_holds_rows_out_and_says_so(adapted, capsys, tmp_path):
    out = tmp_path / "model"
    arguments = (
        "adapt",
        adapted / "train.csv",
        "--target",
        "bought",
        "--out",
        out,
        "--n-steps",
        2,
        "--n-members",
        2,
        "--n-context",
        16,
    )
    code, said, _ = run(capsys, *arguments)
    words = " ".join(said.split())
    assert code == 0
    assert "train.csv: CSV (UTF-8, separated by semicolon); 400 rows, 5 columns" in words
    assert (
        "80 of 400 rows were held out and only scored; the saved model was fitted on the other 320." in words
    )
    assert "rows that each model had not seen" in words
    assert re.search(r"size number \d+ \d+ ", words)  # the table of columns
    assert "16 context rows" in words
    assert f"testtime report {out}" in words
    assert run(capsys, "report", out)[0] == 0
    code, said, _ = run(capsys, *arguments, "--overwrite", "--json")
    content = json.loads(said)
    assert code == 0
    assert not (out / "report.html").exists()  # it described the model that was replaced
    assert content["evaluation"]["n_rows"] == 80
    assert content["adaptation"]["n_context"] == 16
    assert content["file"]["rows"] == 400


def test_scores_of_adapt_are_those_of_the_saved_model(adapted):
    frame, _ = read_table(adapted / "train.csv")
    labels = frame.pop("bought")
    fitted, scored = hold_out(labels, 0.2, 0)
    model = testtime.load(adapted / "model")
    probabilities = model.predict_proba(frame.iloc[scored])
    truth = labels.iloc[scored].to_numpy()
    losses = -np.log(probabilities[np.arange(len(truth)), np.searchsorted(model.classes_, truth)])
    measured = document(adapted / "model", "evaluation")
    served = [
        p for p in measured["points"] if p["n_context"] == 32 and p["adapted"] == model.adaptation_.kept
    ]
    assert served[0]["scores"]["log_loss"]["value"] == pytest.approx(losses.mean(), rel=1e-9)
    assert set(model.context_indices_) <= set(range(len(fitted)))


@pytest.mark.parametrize("name", ["predictions.csv", "predictions.parquet"])
@pytest.mark.parametrize(
    "table",
    ["new.parquet", "same.csv", "held.csv"],  # trained on decimal commas; "held.csv" has points
)
def test_predict_writes_what_python_predicts(adapted, capsys, tmp_path, name, table):
    out = tmp_path / name
    code, said, _ = run(capsys, "predict", adapted / "model", adapted / table, "--out", out, "--json")
    assert code == 0
    assert json.loads(said)["rows"] == 150
    written = pd.read_csv(out, keep_default_na=False) if name.endswith("csv") else pd.read_parquet(out)
    model = testtime.load(adapted / "model")
    expected = model.predict_proba(bought_table(150, seed=1).drop(columns="bought"))
    assert list(written) == ["prediction", "probability_no", "probability_yes"]
    assert np.allclose(written[["probability_no", "probability_yes"]], expected, rtol=0, atol=1e-12)
    assert (written["prediction"] == model.classes_[expected.argmax(axis=1)]).all()


def test_predict_labels_only_and_overwrite(adapted, capsys, tmp_path):
    out = tmp_path / "labels.csv"
    out.write_text("older")
    arguments = ("predict", adapted / "model", adapted / "new.parquet", "--out", out, "--label")
    code, _, said = run(capsys, *arguments)
    assert (code, out.read_text()) == (2, "older")
    assert "exists" in said
    assert run(capsys, *arguments, "--overwrite")[0] == 0
    predicted = testtime.load(adapted / "model").predict(pd.read_parquet(adapted / "new.parquet"))
    assert out.read_text().split() == ["prediction", *predicted]


def test_predict_says_when_categories_are_new(adapted, capsys, tmp_path):
    frame = bought_table(20, seed=2).drop(columns="bought")
    frame.loc[:4, "colour"] = "purple"
    frame.to_csv(tmp_path / "new.csv", index=False)
    code, said, noted = run(
        capsys, "predict", adapted / "model", tmp_path / "new.csv", "--out", tmp_path / "out.csv"
    )
    assert code == 0
    assert "20 rows predicted" in said
    assert "would be among the others: 'colour'" in noted


def test_report_draws_saved_scores_or_scores_rows_of_the_user(adapted, capsys, tmp_path):
    code, said, _ = run(capsys, "report", adapted / "model")
    assert code == 0
    assert "On 80 held-out rows" in " ".join(said.split())
    assert "separated by semicolon" in (adapted / "model" / "report.html").read_text()
    code, said, _ = run(
        capsys,
        "report",
        adapted / "model",
        "--table",
        adapted / "held.csv",
        "--out",
        tmp_path / "r.html",
        "--json",
    )
    measured = json.loads(said)["evaluation"]
    assert code == 0
    assert measured["n_rows"] == 150
    assert [point["n_context"] for point in measured["points"] if not point["adapted"]] == [
        16,
        32,
        64,
        256,
        320,
    ]
    assert "the file held.csv" in (tmp_path / "r.html").read_text()
