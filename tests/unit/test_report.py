"""The report: what its sentences conclude from numbers made for the purpose, and a page that stands alone."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from testtime.report.break_even import break_even, equal_context
from testtime.report.findings import advice, best_rival, comparison, headline
from testtime.report.html import ReportData, render_report
from testtime.report.table_plots import draw_curves, draw_losses, draw_predicted, draw_reliability
from testtime.results import Adaptation, Part, Status

HOSTILE = "<script>alert('x')</script>"
COLUMNS = (
    {"name": HOSTILE, "kind": "nominal", "missing": 250, "levels": 3, "parsed": HOSTILE, "left_out": "",
     "examples": [HOSTILE, "b"]},
    {"name": '"quoted"', "kind": "id", "missing": 0, "levels": 900, "parsed": "", "left_out": "it counts the rows",
     "examples": ["1", "2"]},
)  # fmt: skip
NAN = math.nan


def adaptation(**changes):
    record = Adaptation(
        kept=True,
        status=Status.KEPT,
        objective="short",
        loss_before=0.41,
        loss_after=0.36,
        gain=0.05,
        standard_error=0.01,
        expected_gain=0.06,
        weight=0.75,
        parts=(Part("frozen", 0.41, 0.25), Part("adapted, 20 steps", 0.37, 0.75)),
        n_steps=20,
        n_context=128,
        n_query=600,
        n_guard=872,
        n_members=4,
        n_views=8,
        n_trainable=52_964,
        adapter_bytes=211_856,
        adapt="encoders",
        step_size=5e-4,
        seconds=6.0,
        losses=tuple(0.5 - 0.01 * step for step in range(20)),
        columns=COLUMNS,
    )
    return replace(record, **changes)


def scores(**values):
    return {name: {"value": value, "error": 0.01} for name, value in values.items()}


def point(n_context, adapted, log_loss, seconds=1e-3, auc=0.9):
    own = scores(log_loss=log_loss, accuracy=0.8, auc=auc)
    return {"n_context": n_context, "adapted": adapted, "scores": own, "seconds_per_row": seconds}


def rival(name, difference, error=0.01, **values):
    own = scores(**(values or {"log_loss": 0.35 + difference, "accuracy": 0.8, "auc": 0.9}))
    return {"name": name, "scores": own, "difference": difference, "error": error}


def evaluation(plain, served, difference=-0.05, error=0.01, n_context=128, rivals=()):
    """Frozen losses by context length (with seconds), and the loss of the adapted model at the served length."""
    points = [point(size, False, loss, seconds) for size, (loss, seconds) in plain.items()]
    points += [point(n_context, True, served, 1e-3)] if served is not None else []
    return {
        "source": "rows of a test",
        "n_rows": 500,
        "n_context": n_context,
        "loss_name": "log loss",
        "compared": "log_loss",
        "difference": difference,
        "error": error,
        "points": points,
        "rivals": list(rivals),
        "calibration": [
            {"adapted": adapted, "promised": 0.1 * i, "came_true": 0.09 * i, "error": 0.02, "rows": 50}
            for adapted in (False, True)
            for i in range(10)
        ],
        "confusion": {
            "classes": [HOSTILE, "rare"],
            "counts": [[440, 10], [40, 10]],
            "recall": [[0.98, 0.01], [0.2, 0.06]],
            "precision": [[0.92, 0.01], [None, None]],
        },
        "rows": [],
        "importances": [
            {"column": HOSTILE, "increase": 0.2, "error": 0.01},
            {"column": "dull", "increase": 0.001, "error": 0.01},
            {"column": "duller", "increase": -0.001, "error": 0.01},
        ],
        "skipped": [],
    }


def numbers(**changes):
    """An evaluation of a numeric target whose 90% intervals hold 97% of the targets."""
    own = {n: scores(crps=loss, rmse=1234.5, mae=9.0) for n, loss in ((128, 35.0), (512, 30.0))}
    points = [
        {"n_context": n, "adapted": n == 128, "scores": one, "seconds_per_row": 1e-3}
        for n, one in own.items()
    ] + [
        {
            "n_context": 128,
            "adapted": False,
            "scores": scores(crps=40.0, rmse=1234.5, mae=9.0),
            "seconds_per_row": 1e-3,
        }
    ]
    part = {"adapted": True, "level": 0.9, "share": 0.97, "error": 0.01, "width": 12.5}
    rows = [{"predicted": 1.0 * k, "low": k - 1.0, "high": k + 1.0, "actual": k + 0.5} for k in range(9)]
    made = evaluation({}, None, -5.0, 1.0) | {
        "loss_name": "CRPS",
        "compared": "rmse",
        "points": points,
        "calibration": [part],
        "confusion": None,
        "rows": rows,
    }
    return made | changes


CURVE = {64: (0.45, 0.5e-3), 128: (0.40, 1e-3), 512: (0.36, 2.5e-3), 1000: (0.34, 4e-3)}
FOREST = rival("random forest", 0.03)

TABLE = {"rows": 1000, "n_columns": 2, "target": HOSTILE, "classes": {HOSTILE: 700, "b & c": 300}}


def page(**changes):
    data = {
        "title": f"testtime: {HOSTILE}",
        "adaptation": adaptation(),
        "settings": {"random_state": 7, "backbone": HOSTILE},
        "versions": {"testtime": "0.1.0", "numpy": "2.0"},
        "evaluation": evaluation(CURVE, 0.35, rivals=[FOREST]),
        "table": TABLE,
        "notes": (f"read {HOSTILE}",),
    }
    return render_report(ReportData(**(data | changes)))


class Reader(HTMLParser):
    """Collects what a browser would act on, and checks that elements are closed in order."""

    VOID = frozenset({"meta", "link", "br", "img"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.text = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [value for key, value in attrs if key in ("href", "src", "xlink:href")]
        assert not any(key.startswith("on") for key in values), attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def words_of(text):
    return " ".join(" ".join(Reader(text).text).split())


def test_the_page_stands_alone_and_escapes_what_is_the_users():
    text = page()
    reader = Reader(text)
    assert reader.open == []
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert all(link.startswith("#") for link in reader.links)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    assert "<script" not in text
    assert (
        text.count("&lt;script&gt;") >= 10
    )  # title, target, classes, columns, importance, example, note, setting
    assert '"quoted"' in "".join(reader.text)
    assert len(reader.ids) == len(set(reader.ids))
    assert set(re.findall(r"(?:url\(|href=\")#([^\")]+)", text)) <= set(reader.ids)
    assert reader.tags.count("svg") == 3
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower().replace("finance", "")


def test_the_page_opens_with_a_sentence_and_three_numbers():
    text = page()
    words = words_of(text)
    assert words.index(
        "Adapting lowers the log loss on held-out rows by 0.0500 \u00b1 0.0100."
    ) < words.index("Is it better?")
    for number in ("0.3500 \u00b1 0.0100", "-0.0500 \u00b1 0.0100", "-0.0300 \u00b1 0.0100"):
        assert words.index(number) < words.index("Is it better?")
    assert text.count("<div><b>") == 3


def test_the_page_says_what_was_done():
    words = words_of(page())
    for expected in (
        adaptation().explain(),
        comparison(evaluation(CURVE, 0.35)),
        "random forest 0.3800",
        "+0.0300 \u00b1 0.0100",
        "behind",
        "adapted, 20 steps 0.3700 75%",
        "gain over the frozen model 0.0500",
        "left out: it counts the rows",
        "random_state = 7",
        "Only 20% of the rows of the rare class",
        "2 of 3 columns show no importance",
    ):
        assert expected in words, expected


def test_a_page_about_numbers_speaks_of_numbers():
    target = TABLE | {"classes": {}, "target_values": {"mean": 3.25, "90% quantile": 1e9}}
    forest = rival("random forest", -3.0, 1.0, crps=None, rmse=1231.5, mae=9.0)
    record = adaptation(loss_name="CRPS", unit="standard deviations of the target")
    text = page(adaptation=record, evaluation=numbers(rivals=[forest]), table=target)
    words = words_of(text)
    assert Reader(text).open == []
    assert Reader(text).tags.count("svg") == 3
    for expected in (
        "Adapting lowers the CRPS on held-out rows by 5.000 \u00b1 1.000; use a random forest instead.",
        "its RMSE is lower by 3.000 \u00b1 1.000. It predicts no quantiles.",
        "The 90% intervals hold 97% \u00b1 1% of the targets: they are wider than they need be.",
        "too wide",
        "1e+09",
    ):
        assert expected in words, expected
    assert "log loss" not in words


def test_intervals_are_called_too_narrow_as_well_as_too_wide():
    narrow = numbers(calibration=[{"adapted": True, "level": 0.9, "share": 0.8, "error": 0.02, "width": 1.0}])
    assert any("too narrow" in line for line in advice(adaptation().to_dict(), narrow))
    fine = numbers(calibration=[{"adapted": True, "level": 0.9, "share": 0.88, "error": 0.02, "width": 1.0}])
    assert not any("intervals" in line for line in advice(adaptation().to_dict(), fine))


@pytest.mark.parametrize(
    ("difference", "error", "named"), [(-0.03, 0.01, True), (-0.009, 0.01, False), (-0.03, "inf", False)]
)
def test_another_model_is_recommended_only_beyond_its_error(difference, error, named):
    measured = evaluation(CURVE, 0.35, rivals=[FOREST, rival("boosted trees", difference, error)])
    assert (best_rival(measured) is not None) == named
    assert ("use boosted trees instead" in headline(adaptation().to_dict(), measured)) == named
    said = advice(adaptation().to_dict(), measured)[0]
    assert said.startswith(
        "Use boosted trees instead" if named else "No other model that was tried is better"
    )


def test_a_rival_without_a_difference_is_left_out_of_the_numbers():
    overflowed = rival("boosted trees", 0.01) | {"difference": None, "error": None}
    words = words_of(page(evaluation=evaluation(CURVE, 0.35, rivals=[overflowed, FOREST])))
    assert "log loss against random forest" in words


def test_a_longer_context_that_is_better_is_recommended_in_the_terms_of_the_command():
    measured = evaluation(CURVE, 0.35, rivals=[rival("frozen model, 1,000 context rows", -0.02)])
    assert "--objective accuracy" in advice(adaptation(objective="short").to_dict(), measured)[0]


def test_a_page_without_evaluation_table_or_adaptation_is_whole():
    plain = adaptation(kept=False, status=Status.PLAIN, n_guard=0, n_query=0, n_steps=0, losses=(), adapter_bytes=0,
                       weight=0.0, parts=(), n_members=0, loss_before=NAN, loss_after=NAN, gain=NAN,
                       standard_error=NAN, expected_gain=NAN)  # fmt: skip
    text = page(adaptation=plain, evaluation=None, table=None, notes=())
    words = words_of(text)
    assert Reader(text).open == []
    assert "svg" not in Reader(text).tags
    assert "how good it is was not measured" in words
    assert "No rows were held out." in words
    assert "nan" not in words.lower()
    words = words_of(page(adaptation=plain, evaluation=evaluation(CURVE, None)))
    assert "the frozen model with 128 context rows has a log loss of 0.4000" in words
    assert "earned back" not in words


@pytest.mark.parametrize("size", [1, 2, 8])
def test_few_steps_few_bins_and_one_length_can_be_drawn(size):
    assert draw_losses([0.5] * size).startswith("<svg")
    assert draw_curves([point(16, False, 0.5, auc=None)], 16).count("axes_") == 2  # no AUC panel
    part = {"adapted": False, "promised": 1.0, "came_true": 0.0, "error": 0.1, "rows": 3}
    assert draw_reliability([part], two_classes=True).endswith("</svg>\n")
    assert draw_predicted([{"predicted": 1.0, "low": 0.0, "high": 2.0, "actual": 1.5}] * size).startswith(
        "<svg"
    )


def test_drawings_take_their_colours_from_the_page():
    drawn = draw_curves(evaluation(CURVE, 0.35)["points"], 128)
    for name in ("--adapted", "--ink", "--plain"):
        assert f"var({name})" in drawn
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]+)", drawn)) <= {"#ffffff"}
    assert (
        draw_curves(evaluation(CURVE, 0.35)["points"], 128) == drawn
    )  # the same numbers give the same bytes


def test_equal_context_is_the_shortest_that_reaches_the_loss():
    points = evaluation({64: (0.3, 1), 128: (0.5, 1), 256: (0.3, 1)}, 0.1)["points"]
    assert equal_context(points, 0.4)["n_context"] == 64
    assert equal_context(points, 0.05) is None


def test_break_even_is_seconds_over_seconds_gained():
    found = break_even({"seconds": 6.0}, evaluation(CURVE, 0.35))
    assert (found.n_adapted, found.n_plain) == (128, 1000)
    assert found.predictions == pytest.approx(6.0 / (4e-3 - 1e-3))
    assert "1.00 ms with 128" in found.explain()
    assert "with 1,000 rows, at 4.00 ms" in found.explain()
    assert "after about 2,000 predictions" in found.explain()


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({128: (0.40, 1e-3), 512: (0.36, 2e-3)}, "did not reach this log loss"),
        ({64: (0.30, 0.5e-3), 128: (0.40, 1e-3)}, "never earned back"),
        (
            {128: (0.40, 1e-3), 512: (0.30, 0.9e-3)},
            "never earned back",
        ),  # a longer context that is not slower
    ],
)
def test_break_even_is_honest_when_there_is_none(plain, said):
    found = break_even({"seconds": 6.0}, evaluation(plain, 0.35))
    assert found.predictions is None
    assert said in found.explain()


def test_no_break_even_without_an_adapted_model():
    assert break_even({"seconds": 6.0}, evaluation(CURVE, None)) is None


@pytest.mark.parametrize(
    ("difference", "error", "said", "opened"),
    [
        (-0.05, 0.01, "what is served is better", "lowers the log loss on held-out rows by 0.0500"),
        (-0.05, 0.03, "cannot be told apart", "cannot be told apart"),
        (0.05, 0.03, "cannot be told apart", "cannot be told apart"),
        (0.05, 0.01, "what is served is WORSE", "raises the log loss on held-out rows by 0.0500"),
        (-0.05, "inf", "one row says nothing", "cannot be told apart"),
        (-0.05, None, "one row says nothing", "cannot be told apart"),
    ],
)
def test_a_difference_is_called_one_only_beyond_two_errors(difference, error, said, opened):
    measured = evaluation(CURVE, 0.35, difference, error)
    assert said in comparison(measured)
    assert opened in headline(adaptation().to_dict(), measured)


def test_scores_without_a_number_are_left_out():
    frozen = evaluation({128: (0.4, 1e-3)}, None)
    frozen["points"][0]["scores"]["auc"] = {"value": None, "error": None}
    assert "AUC" not in comparison(frozen)
    assert Reader(page(adaptation=adaptation(kept=False), evaluation=frozen)).open == []


def test_one_context_length_is_no_curve():
    assert "How many context rows?" not in page(evaluation=evaluation({128: (0.4, 1e-3)}, 0.35))


def test_what_the_time_limit_left_out_is_named():
    measured = evaluation(CURVE, 0.35) | {"skipped": ["random forest"]}
    assert "The time limit left out: random forest." in advice(adaptation().to_dict(), measured)[-1]


def test_reports_load_no_model():
    code = "import sys, testtime.report.html; print([m for m in ('torch', 'tabicl', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": ":".join(sys.path)})  # fmt: skip
    assert done.stdout.strip() == "[]"
