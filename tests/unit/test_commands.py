"""The commands on small tables: what they print, write and return; the same numbers as from Python."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import testtime
from tests.support.adapters import document
from tests.support.commands import run
from testtime.cli import main
from testtime.evaluation.curves import curve_sizes
from testtime.evaluation.evaluate import evaluate
from testtime.evaluation.splits import hold_out
from testtime.table.readers import read_table


def make_table(rows=400, seed=0):
    """A table whose label is a known function of a number and a category."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows).round(4),
            "colour": rng.choice(["red", "green", "blue"], rows),
            "code": rng.choice(["1", "2", "x"], rows),
            "noise": rng.normal(size=rows).round(4),
        }
    )
    frame.loc[::17, "size"] = np.nan
    score = frame["size"].fillna(0) + 1.5 * (frame["colour"] == "red")
    frame["bought"] = np.where(score + 0.3 * rng.normal(size=rows) > 0.5, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A folder with a training file, new rows, and a model made by the command."""
    folder = tmp_path_factory.mktemp("adapted")
    make_table().to_csv(folder / "train.csv", sep=";", decimal=",", index=False)
    make_table(150, seed=1).to_csv(folder / "held.csv", index=False)
    make_table(150, seed=1).to_csv(folder / "same.csv", sep=";", decimal=",", index=False)
    make_table(150, seed=1).drop(columns="bought").to_parquet(folder / "new.parquet")
    arguments = [
        "adapt",
        folder / "train.csv",
        "--target",
        "bought",
        "--out",
        folder / "model",
        "--n-steps",
        5,
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
        5,
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
    expected = model.predict_proba(make_table(150, seed=1).drop(columns="bought"))
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
    assert set(out.read_text().split()) == {"prediction", "no", "yes"}


def test_predict_says_when_categories_are_new(adapted, capsys, tmp_path):
    frame = make_table(20, seed=2).drop(columns="bought")
    frame.loc[:4, "colour"] = "purple"
    frame.to_csv(tmp_path / "new.csv", index=False)
    code, said, noted = run(
        capsys, "predict", adapted / "model", tmp_path / "new.csv", "--out", tmp_path / "out.csv"
    )
    assert code == 0
    assert "20 rows predicted" in said
    assert "unknown in 'colour'" in noted


def test_a_model_saved_from_python_predicts_files(capsys, tmp_path):
    frame = make_table(120)
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


def test_labels_that_are_numbers_survive_the_round_trip(capsys, tmp_path):
    frame = make_table(240)
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
    assert (
        run(capsys, "predict", model, tmp_path / "train.csv", "--out", tmp_path / "p.csv", "--label")[0] == 0
    )
    assert set(pd.read_csv(tmp_path / "p.csv", dtype=str)["prediction"]) == {"00", "01"}


def test_demo_and_doctor(capsys, tmp_path):
    out = tmp_path / "demo"
    code, said, _ = run(capsys, "demo", "--quick", "--out", out, "--json")
    content = json.loads(said)
    assert code == 0
    assert content["adaptation"]["objective"] == "accuracy"
    assert content["adaptation"]["n_views"] == 8
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
    frame = make_table(240)
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


def test_groups_are_held_out_whole_and_later_rows_last():
    rng = np.random.default_rng(0)
    labels, groups, time = rng.choice(["a", "b"], 500), rng.integers(0, 60, 500), rng.integers(0, 100, 500)
    fitted, held = hold_out(labels, 0.2, 0, groups=groups)
    assert not set(groups[fitted]) & set(groups[held])
    assert 80 <= len(held) <= 100
    fitted, held = hold_out(labels, 0.2, 0, groups=groups, time=time.astype(float))
    assert time[fitted].max() < time[held].min()
    assert 80 <= len(held) <= 100
    alone = [None] * 10
    assert len(hold_out(["a"] * 10, 0.3, 0, groups=alone)[1]) == 3
    labels[time > 90] = "new"
    fitted, held = hold_out(labels, 0.3, 0, time=time.astype(float))
    assert "new" not in labels[held]
    assert len(fitted) + len(held) == 500 - (time > 90).sum()


def test_the_error_of_a_difference_counts_groups():
    rng = np.random.default_rng(0)
    half = rng.dirichlet(np.ones(2), size=100)
    probabilities = {False: np.repeat(half, 4, axis=0), True: np.tile([[0.5, 0.5]], (400, 1))}
    rows, labels = pd.DataFrame({"row": range(400)}), ["a"] * 400
    alone = evaluate(Known(probabilities), rows, labels, sizes=[], source="x", importances=False)
    grouped = evaluate(
        Known(probabilities),
        rows,
        labels,
        sizes=[],
        source="x",
        importances=False,
        groups=np.arange(400) // 4,
    )
    assert grouped.error == pytest.approx(2 * alone.error, rel=0.01)


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


# --- the measurement itself


class Known:
    """A fitted classifier that answers with probabilities made for the test."""

    def __init__(self, probabilities, kept=True, n_context=32):
        self.classes_ = np.array(["a", "b", "c"][: probabilities[True].shape[1]])
        self.adaptation_ = type("Record", (), {"kept": kept, "n_context": n_context})()
        self._probabilities = probabilities

    def _predict_at(self, X, n_context, *, adapted):
        return self._probabilities[adapted][X["row"].to_numpy()]


def test_scores_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    rng = np.random.default_rng(0)
    probabilities = {which: rng.dirichlet(np.ones(3), size=300) for which in (False, True)}
    codes = rng.integers(0, 3, 300)
    labels = np.array(["a", "b", "c"])[codes]
    rows = pd.DataFrame({"row": range(300)})
    found = evaluate(Known(probabilities), rows, labels, sizes=[16], source="a test", importances=False)
    assert [(p.n_context, p.adapted) for p in found.points] == [
        (16, False),
        (16, True),
        (32, False),
        (32, True),
    ]
    for point in found.points:
        table = probabilities[point.adapted]
        assert point.scores["log_loss"].value == pytest.approx(log_loss(labels, table), rel=1e-12)
        assert point.scores["accuracy"].value == accuracy_score(codes, table.argmax(axis=1))
        assert point.scores["auc"].value == pytest.approx(
            roc_auc_score(labels, table, multi_class="ovr", average="macro")
        )
    losses = {which: -np.log(table[np.arange(300), codes]) for which, table in probabilities.items()}
    gap = losses[True] - losses[False]
    assert found.difference == pytest.approx(gap.mean())
    assert found.error == pytest.approx(np.std(gap, ddof=1) / np.sqrt(300))
    for which in (False, True):
        bins = [part for part in found.calibration if part.adapted == which]
        assert sum(part.rows for part in bins) == 300
        right = sum(part.came_true * part.rows for part in bins) / 300
        assert right == pytest.approx(np.mean(probabilities[which].argmax(axis=1) == codes))
        assert [part.promised for part in bins] == sorted(part.promised for part in bins)


def test_many_rows_are_drawn_and_unknown_labels_refused():
    table = np.tile([[0.25, 0.75]], (5000, 1))
    rows = pd.DataFrame({"row": range(5000)})
    found = evaluate(
        Known({False: table, True: table}, kept=False),
        rows,
        ["b"] * 5000,
        sizes=[],
        source="x",
        importances=False,
    )
    assert found.n_rows == 2000
    assert [point.adapted for point in found.points] == [False]
    assert found.points[0].scores["log_loss"].value == pytest.approx(-np.log(0.75))
    assert np.isnan(found.points[0].scores["auc"].value)
    with pytest.raises(testtime.InputError, match="held-out label 'z'; expected one of 'a', 'b'"):
        evaluate(
            Known({False: table, True: table}),
            rows.iloc[:2],
            ["a", "z"],
            sizes=[],
            source="x",
            importances=False,
        )
    with pytest.raises(testtime.InputError, match="no held-out rows"):
        evaluate(
            Known({False: table, True: table}), rows.iloc[:0], [], sizes=[], source="x", importances=False
        )


@pytest.mark.parametrize(("n", "share"), [(1000, 0.2), (997, 0.1), (50, 0.5)])
def test_held_out_rows_have_the_shares_of_the_table(n, share):
    rng = np.random.default_rng(n)
    labels = pd.Series(rng.choice(["a", "b", "c"], n, p=[0.7, 0.25, 0.05]))
    fitted, held = hold_out(labels, share, 0)
    assert sorted([*fitted, *held]) == list(range(n))
    assert len(held) == round(share * n)
    for label, count in labels.value_counts().items():
        assert abs((labels.iloc[held] == label).sum() - share * count) <= 1
    assert not np.array_equal(held, hold_out(labels, share, 1)[1])
    assert np.array_equal(held, hold_out(labels, share, 0)[1])


def test_each_class_keeps_two_rows_and_few_are_scored_at_most():
    fitted, _ = hold_out(["a"] * 100 + ["b"] * 2 + ["c"] * 3, 0.9, 0)
    assert {"b", "c"} <= {(["a"] * 100 + ["b"] * 2 + ["c"] * 3)[row] for row in fitted}
    assert sum(row >= 100 for row in fitted) >= 4
    assert len(hold_out(np.zeros(100_000), 0.2, 0)[1]) == 5000


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ((128, 2, 1000), [16, 32, 64, 128, 256, 512, 1000]),
        ((96, 10, 40_000), [16, 32, 64, 96, 128, 256, 512, 1024]),
        ((32, 2, 32), [32]),
        ((12, 2, 12), [12]),
        ((2000, 2, 5000), [2000]),
    ],
)
def test_sizes_of_the_curve(arguments, sizes):
    assert curve_sizes(*arguments) == sizes
