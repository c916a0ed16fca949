"""The commands on a numeric target: which task is chosen, what is written, what a report shows."""

import json

import numpy as np
import pandas as pd
import pytest

import testtime
from tests.support.adapters import document
from tests.support.commands import run
from tests.support.models import load_tiny, sha256_of, tiny_tabicl
from testtime.backbones import embedded
from testtime.backbones.embedded import EmbeddedBackbone
from testtime.cli import main
from testtime.cli.target import choose_task, class_costs
from testtime.errors import InputError
from testtime.evaluation.evaluate import evaluate


def make_table(rows=240, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"area": rng.uniform(30, 200, rows).round(1), "town": rng.choice(["A", "B"], rows)})
    frame["price"] = (
        2000 * frame["area"] * (1 + 0.5 * (frame["town"] == "B")) + rng.normal(0, 2e4, rows)
    ).round(2)
    return frame


@pytest.fixture(scope="module", autouse=True)
def tiny_of_percentiles():
    """Let the embedded regressor be a tiny one that, like it, answers with percentiles."""
    module = tiny_tabicl(max_classes=0, num_quantiles=99)
    regressor = EmbeddedBackbone(module, sha256_of(module), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            embedded, "load_embedded", lambda task: regressor if task == "regressor" else load_tiny(task)
        )
        yield


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, tiny_of_percentiles):
    folder = tmp_path_factory.mktemp("priced")
    make_table().to_csv(folder / "train.csv", index=False)
    make_table(60, seed=1).to_csv(folder / "new.csv", index=False)
    arguments = [
        "adapt",
        folder / "train.csv",
        "--target",
        "price",
        "--out",
        folder / "model",
        "--n-steps",
        2,
        "--n-members",
        2,
    ]
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in [*arguments, "--n-context", 32, "--no-guard"]])
    assert not stopped.value.code
    return folder


def test_adapt_says_what_it_chose_and_scores_numbers(adapted, capsys, tmp_path):
    out = tmp_path / "model"
    code, said, _ = run(
        capsys,
        "adapt",
        adapted / "train.csv",
        "--target",
        "price",
        "--out",
        out,
        "--n-steps",
        0,
        "--n-context",
        32,
    )
    words = " ".join(said.split())
    assert code == 0
    assert "Task: regress, because the target 'price' holds numbers that are not whole" in words
    assert "48 of 240 rows were held out" in words
    assert all(
        word in words
        for word in ("CRPS", "RMSE", "MAE", "the frozen model with 32 context rows has a CRPS of")
    )
    assert type(testtime.load(out)) is testtime.TTTRegressor


def test_scores_are_those_of_the_saved_model(adapted):
    model = testtime.load(adapted / "model")
    measured = document(adapted / "model", "evaluation")
    frame = make_table()
    held = np.setdiff1d(np.arange(240), _fitted_rows(frame))
    served = next(p for p in measured["points"] if p["n_context"] == 32 and p["adapted"])
    errors = model.predict(frame.iloc[held].drop(columns="price")) - frame["price"].iloc[held]
    assert measured["n_rows"] == len(held) == 48
    assert served["scores"]["rmse"]["value"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)
    assert measured["loss_name"] == "CRPS"


def _fitted_rows(frame):
    from testtime.evaluation.splits import hold_out

    return hold_out(["one class"] * len(frame), 0.2, 0)[0]


def test_predict_writes_the_mean_and_two_quantiles(adapted, capsys, tmp_path):
    out = tmp_path / "p.csv"
    assert run(capsys, "predict", adapted / "model", adapted / "new.csv", "--out", out)[0] == 0
    written = pd.read_csv(out)
    model = testtime.load(adapted / "model")
    rows = make_table(60, seed=1).drop(columns="price")
    assert list(written) == ["prediction", "quantile_0.1", "quantile_0.9"]
    assert np.allclose(written["prediction"], model.predict(rows), rtol=1e-12)
    assert np.allclose(written.iloc[:, 1:], model.predict_quantiles(rows, (0.1, 0.9)), rtol=1e-12)
    assert (
        run(
            capsys, "predict", adapted / "model", adapted / "new.csv", "--out", out, "--label", "--overwrite"
        )[0]
        == 0
    )
    assert list(pd.read_csv(out)) == ["prediction"]


def test_predict_writes_the_quantiles_and_columns_that_are_asked_for(adapted, capsys, tmp_path):
    predict = ("predict", adapted / "model", adapted / "new.csv", "--out", tmp_path / "p.csv")
    assert run(capsys, *predict, "--quantiles", "0.1,0.5,0.9", "--id", "town")[0] == 0
    written = pd.read_csv(tmp_path / "p.csv")
    assert list(written) == ["town", "prediction", "quantile_0.1", "quantile_0.5", "quantile_0.9"]
    rows = make_table(60, seed=1)
    assert written["town"].tolist() == rows["town"].tolist()
    model = testtime.load(adapted / "model")
    expected = model.predict_quantiles(rows.drop(columns="price"), (0.1, 0.5, 0.9))
    assert np.allclose(written.iloc[:, 2:], expected, rtol=1e-12)
    for options, said in (
        (("--quantiles", "0.5,2"), "--quantiles 0.5,2; expected numbers from 0.005 to 0.995"),
        (("--quantiles", "0.5,0.5"), "holds a number twice"),
        (("--id", "twon"), "--id twon: there is no such column. Did you mean 'town'?"),
        (("--quantiles", "0.5", "--label"), "--label leaves no room for --quantiles"),
    ):
        code, _, err = run(capsys, *predict, "--overwrite", *options)
        assert code == 2
        assert said in err


def test_report_of_numbers(adapted, capsys, tmp_path):
    page = tmp_path / "r.html"
    code, said, _ = run(
        capsys, "report", adapted / "model", "--table", adapted / "new.csv", "--out", page, "--json"
    )
    measured = json.loads(said)["evaluation"]
    text = page.read_text()
    assert code == 0
    assert (measured["n_rows"], measured["n_fitted"]) == (60, 0)
    assert {part["adapted"] for part in measured["calibration"]} == {False, True}
    assert [part["level"] for part in measured["calibration"]] == [0.5, 0.8, 0.9, 0.98] * 2
    for word in ("RMSE", "MAE", "CRPS", "90% quantile"):
        assert word in text
    assert "log loss" not in text
    assert "<th>accuracy</th>" not in text
    (tmp_path / "bad.csv").write_text("area,town,price\n50,A,cheap\n")
    code, _, said = run(capsys, "report", adapted / "model", "--table", tmp_path / "bad.csv")
    assert code == 2
    assert "'cheap'; expected a number" in said


CHOICES = {
    "text": (["a", "b"], "classify"),
    "truth": ([True, False], "classify"),
    "two codes": ([0, 1], "classify"),
    "ten codes": (range(10), "classify"),
    "whole floats": ([1.0, 2.0, 3.0], "classify"),
    "eleven numbers": (range(11), "regress"),
    "broken numbers": ([0.5, 1.0], "regress"),
    "ten dates": (pd.date_range("2024-01-01", periods=10), "classify"),
    "ten dates in words": (list(pd.date_range("2024-01-01", periods=10).astype(str)) * 9, "classify"),
    "names": ([f"name {i}" for i in range(40)], "classify"),
}
NO_CLASSES = {
    "times": (pd.date_range("2024-01-01", periods=20), "dates, such as '2024-01-01'"),
    "dates": (pd.date_range("2024-01-01", periods=20).astype(str), "dates, such as '2024-01-01'"),
    "unread dates": (
        pd.date_range("2024-01-01", periods=90).strftime("%d-%b"),
        "what looks like dates, such as '01-Jan'",
    ),
    "units": (
        [f"{i / 10} kg" if i % 2 else f"{i} g" for i in range(60)],
        "numbers in more than one unit, such as",
    ),
    "signs": (
        [f"{i} CR" if i % 2 else f"{i}" for i in range(60)],
        "a mark that may be a sign, as '1 CR' and '2'",
    ),
}


@pytest.mark.parametrize("case", CHOICES)
def test_the_task_that_values_suggest(case):
    values, expected = CHOICES[case]
    task, sentence = choose_task("auto", pd.Series(values, name="y"))
    assert task == expected
    assert f"Task: {expected}, because the target 'y'" in sentence
    if case != "text":
        assert choose_task("classify", pd.Series(values, name="y"))[0] == "classify"


@pytest.mark.parametrize("case", NO_CLASSES)
def test_many_dates_and_quantities_are_no_classes_unless_asked(case):
    values, what = NO_CLASSES[case]
    target = pd.Series(values, name="y")
    with pytest.raises(
        InputError, match=rf"the target 'y' holds {target.nunique()} different values, which are .*{what}"
    ):
        choose_task("auto", target)
    assert choose_task("classify", target)[0] == "classify"


def test_a_target_of_dates_is_refused_by_the_command(adapted, capsys, tmp_path):
    frame = make_table().drop(columns="price")
    frame["t"] = (pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(240) % 170, "D")).strftime(
        "%Y-%m-%d"
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    code, said, err = run(capsys, "adapt", tmp_path / "t.csv", "--target", "t", "--out", tmp_path / "m")
    words = " ".join((said + err).split())
    assert code == 2
    assert "the target 't' holds 170 different values, which are dates, such as '2020-01-01'" in words
    assert "pass --task classify if each is a class of its own" in words


def test_tasks_that_cannot_be(adapted, capsys, tmp_path):
    adapt = ("adapt", adapted / "train.csv", "--out", tmp_path / "m", "--n-steps", 0)
    for options, said in (
        (
            ("--target", "price", "--task", "regres"),
            "--task regres; expected one of auto, classify, regress. Did you",
        ),
        (("--target", "town", "--task", "regress"), "the target 'town' is no column of numbers"),
    ):
        code, _, err = run(capsys, *adapt, *options)
        assert code == 2
        assert said in err
        assert not (tmp_path / "m").exists()


def test_too_many_classes(capsys, tmp_path):
    frame = pd.DataFrame({"area": np.arange(1002.0) ** 2, "price": np.arange(1002) // 2})
    frame.to_csv(tmp_path / "train.csv", index=False)
    adapt = ("adapt", tmp_path / "train.csv", "--target", "price", "--out", tmp_path / "m", "--n-steps", 0)
    code, _, err = run(capsys, *adapt, "--task", "classify")
    assert code == 2
    assert "the target has 501 classes; expected at most 500" in err
    assert not (tmp_path / "m").exists()


def test_costs_decide_and_are_checked():
    labels = pd.Series(["no"] * 8 + ["yes"] * 2)
    assert class_costs((), None, labels) == (None, "")
    assert class_costs(("yes=5",), None, labels)[0] == {"no": 1.0, "yes": 5.0}
    assert class_costs(("balanced",), None, labels)[0] == {"no": 0.625, "yes": 2.5}
    assert class_costs((), 0.25, labels)[0] == {"no": 0.25, "yes": 0.75}
    for given, threshold, said in (
        (("yes=-1",), None, "--cost yes=-1; expected a positive number"),
        (("yse=2",), None, "--cost yse=2; expected LABEL=NUMBER or balanced. Did you mean 'yes'?"),
        ((), 1.5, "--threshold 1.5; expected a probability"),
        (("yes=2",), 0.5, "--threshold and --cost say the same thing twice"),
    ):
        with pytest.raises(testtime.InputError, match=said.split(";")[0]):
            class_costs(given, threshold, labels)
    with pytest.raises(testtime.InputError, match="and 3 classes; expected two classes"):
        class_costs((), 0.5, pd.Series(["a", "b", "c"]))


class Known:
    """A fitted regressor that answers with percentiles made for the test."""

    adaptation_ = type("Record", (), {"kept": True, "n_context": 32})()

    def __init__(self, percentiles):
        self._percentiles = percentiles

    def _predict_at(self, X, n_context, *, adapted):
        return self._percentiles[adapted][X["row"].to_numpy()]


def test_scores_agree_with_scikit_learn():
    from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error

    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    percentiles = {which: np.sort(rng.normal(size=(200, 99)), axis=1) for which in (False, True)}
    rows = pd.DataFrame({"row": range(200)})
    found = evaluate(Known(percentiles), rows, y, sizes=[], source="a test", importances=False)
    for point in found.points:
        q = percentiles[point.adapted]
        pinball = [mean_pinball_loss(y, q[:, k - 1], alpha=k / 100) for k in range(1, 100)]
        assert point.scores["crps"].value == pytest.approx(2 * np.mean(pinball))
        assert point.scores["rmse"].value == pytest.approx(root_mean_squared_error(y, q.mean(axis=1)))
        assert point.scores["mae"].value == pytest.approx(mean_absolute_error(y, q[:, 49]))
    assert found.difference == pytest.approx(
        found.points[1].scores["crps"].value - found.points[0].scores["crps"].value
    )
    half = next(part for part in found.calibration if part.level == 0.5 and not part.adapted)
    inside = (percentiles[False][:, 24] <= y) & (y <= percentiles[False][:, 74])
    assert half.share == pytest.approx(inside.mean())
    with pytest.raises(testtime.InputError, match="no number"):
        evaluate(Known(percentiles), rows.iloc[:2], [1.0, "x"], sizes=[], source="x", importances=False)
    with pytest.raises(testtime.InputError, match="no held-out rows"):
        evaluate(Known(percentiles), rows.iloc[:0], [], sizes=[], source="x", importances=False)
