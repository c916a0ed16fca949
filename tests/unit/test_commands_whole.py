"""Commands from a file to a file: the demo, labels and declared columns that survive, help that stays light."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import testtime
from tests.support.commands import bought_table, run
from tests.support.models import load_tiny

pytestmark = pytest.mark.usefixtures("tiny_throughout")


def test_labels_that_are_numbers_survive_the_round_trip(capsys, tmp_path):
    frame = bought_table(240)
    frame["bought"] = np.where(frame["bought"] == "yes", "01", "00")
    frame.to_csv(tmp_path / "train.csv", index=False)
    model = tmp_path / "model"
    code, _, _ = run(
        capsys,
        "adapt",
        tmp_path / "train.csv",
        "--target",
        "bought",
        "--out",
        model,
        "--n-steps",
        0,
        "--json",
    )
    assert code == 0
    code, said, _ = run(capsys, "report", model, "--table", tmp_path / "train.csv", "--json")
    assert code == 0
    assert json.loads(said)["evaluation"]["n_rows"] == 240
    assert json.loads(said)["evaluation"]["n_fitted"] >= json.loads(said)["adaptation"]["n_context"] > 100
    _, said, _ = run(capsys, "report", model, "--table", tmp_path / "train.csv", "--overwrite")
    assert "held-out" not in said
    assert " of the 240 rows are equal to rows of the fit, so that these scores" in " ".join(said.split())
    assert (
        run(capsys, "predict", model, tmp_path / "train.csv", "--out", tmp_path / "p.csv", "--label")[0] == 0
    )
    predicted = testtime.load(model).predict(frame.drop(columns="bought"))
    assert pd.read_csv(tmp_path / "p.csv", dtype=str)["prediction"].tolist() == predicted.tolist()
    assert set(predicted) <= {"00", "01"}


@pytest.mark.slow
def test_demo_and_doctor(capsys, tmp_path):
    out = tmp_path / "demo"
    code, said, _ = run(capsys, "demo", "--quick", "--out", out, "--json")
    content = json.loads(said)
    assert code == 0
    assert content["adaptation"]["objective"] == "accuracy"
    assert content["adaptation"]["n_views"] == load_tiny("classifier").recipe.n_views > 1
    assert content["adaptation"]["n_context"] == 600
    assert content["evaluation"]["n_rows"] == 300
    assert 600 in {point["n_context"] for point in content["evaluation"]["points"]}
    assert "random forest" in {rival["name"] for rival in content["evaluation"]["rivals"]}
    assert "<svg" in (out / "report.html").read_text()
    testtime.load(out)
    code, said, _ = run(capsys, "doctor", "--json")
    content = json.loads(said)
    assert (code, content["problems"], content["predictions_finite"]) == (0, [], True)
    assert len(content["weights_sha256"]) == 64


def test_the_version_is_told(capsys):
    assert run(capsys, "--version") == (0, f"testtime {testtime.__version__}\n", "")


def test_declared_columns_groups_and_time_reach_the_fit(capsys, tmp_path):
    frame = bought_table(240)
    frame["day"] = pd.date_range("2024-01-01", periods=240).strftime("%d.%m.%Y")
    frame["shop"] = [f"s{row % 30}" for row in range(240)]
    frame["zip"] = np.random.default_rng(1).integers(10, 15, 240)
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)
    adapt = ("adapt", tmp_path / "t.csv", "--target", "bought", "--n-steps", 0, "--ignore", "noise", "--json")
    code, said, _ = run(
        capsys, *adapt, "--out", tmp_path / "a", "--time", "day", "--categorical", "zip", "--groups", "shop"
    )
    content = json.loads(said)
    kinds = {column["name"]: column["kind"] for column in content["adaptation"]["columns"]}
    assert code == 0
    assert kinds == {
        "size": "number",
        "colour": "nominal",
        "code": "nominal",
        "noise": "ignored",
        "zip": "nominal",
    }
    assert "48 of 240 rows, the latest, were held out" in " ".join(content["notes"])
    code, said, _ = run(capsys, *adapt, "--out", tmp_path / "b", "--groups", "shop", "--id", "zip")
    content = json.loads(said)
    kinds = {column["name"]: column["kind"] for column in content["adaptation"]["columns"]}
    assert code == 0
    assert (kinds["zip"], kinds["day"]) == ("id", "date")
    assert "48 of 240 rows, whole groups, were held out" in " ".join(content["notes"])


def test_help_is_light_and_names_every_command():
    code = (
        "import sys\nfrom testtime.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'sklearn', 'pandas', 'pyarrow', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip().endswith("[]")
    assert all(name in done.stdout for name in ("demo", "adapt", "predict", "report", "doctor"))


def test_a_model_saved_from_python_predicts_files(capsys, tmp_path):
    frame = bought_table(120)
    labels = frame.pop("bought")
    frame["code"] = frame["code"].map({"1": 1, "2": 2, "x": 3}).astype("category")  # levels that are not text
    model = testtime.TTTClassifier(n_steps=0, n_context=32, random_state=0).fit(frame, labels)
    model.save(tmp_path / "model")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    code, _, noted = run(
        capsys, "predict", tmp_path / "model", tmp_path / "rows.csv", "--out", tmp_path / "out.parquet"
    )
    assert (code, noted) == (0, "")
    written = pd.read_parquet(tmp_path / "out.parquet")
    assert np.allclose(written[["probability_no", "probability_yes"]], model.predict_proba(frame), atol=1e-12)
    code, said, _ = run(capsys, "report", tmp_path / "model")
    assert code == 0
    assert "frozen model is served" in said
    assert "No rows were held out." in (tmp_path / "model" / "report.html").read_text()
