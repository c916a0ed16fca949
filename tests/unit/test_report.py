"""The report: what its sentences conclude from numbers made for the purpose, and a page that stands alone."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from testtime.report.findings import break_even, comparison, equal_context, headline
from testtime.report.html import ReportData, render_report
from testtime.report.table_plots import draw_calibration, draw_curves, draw_gain, draw_losses
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


def point(n_context, adapted, log_loss, seconds=1e-3, auc=0.9):
    return {
        "n_context": n_context,
        "adapted": adapted,
        "log_loss": log_loss,
        "log_loss_error": 0.01,
        "accuracy": 0.8,
        "auc": auc,
        "seconds_per_row": seconds,
    }


def evaluation(plain, served, difference=-0.05, error=0.01, n_context=128):
    """Frozen losses by context length (with seconds), and the loss of the adapted model at the served length."""
    points = [point(size, False, loss, seconds) for size, (loss, seconds) in plain.items()]
    points += [point(n_context, True, served, 1e-3)] if served is not None else []
    return {
        "source": "rows of a test",
        "n_rows": 500,
        "n_context": n_context,
        "difference": difference,
        "difference_error": error,
        "points": points,
        "calibration": [
            {"adapted": adapted, "confidence": 0.5 + 0.05 * i, "accuracy": 0.5 + 0.04 * i, "rows": 50}
            for adapted in (False, True)
            for i in range(10)
        ],
    }


CURVE = {64: (0.45, 0.5e-3), 128: (0.40, 1e-3), 512: (0.36, 2.5e-3), 1000: (0.34, 4e-3)}

TABLE = {
    "rows": 1000,
    "n_columns": 2,
    "target": HOSTILE,
    "classes": {HOSTILE: 700, "b & c": 300},
}


def page(**changes):
    data = {
        "title": f"testtime: {HOSTILE}",
        "adaptation": adaptation(),
        "settings": {"random_state": 7, "backbone": HOSTILE},
        "versions": {"testtime": "0.1.0", "numpy": "2.0"},
        "evaluation": evaluation(CURVE, 0.35),
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


def test_the_page_stands_alone_and_escapes_what_is_the_users():
    text = page()
    reader = Reader(text)
    assert reader.open == []
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert all(link.startswith("#") for link in reader.links)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 8  # title, target, class, column, reading, example, note, setting
    assert HOSTILE in "".join(reader.text)
    assert '"quoted"' in "".join(reader.text)
    assert len(reader.ids) == len(set(reader.ids))
    references = set(re.findall(r"(?:url\(|href=\")#([^\")]+)", text))
    assert references <= set(reader.ids)
    assert reader.tags.count("svg") == 4
    assert "nan" not in "".join(reader.text).lower()


def test_the_page_says_what_was_done():
    words = " ".join("".join(Reader(page()).text).split())
    record = adaptation()
    for expected in (
        record.explain(),
        comparison(evaluation(CURVE, 0.35)),
        "Adapters with a share of 75% are served; on held-out rows, the log loss is lower than that of the frozen "
        "model by 0.0500 (standard error 0.0100).",
        "Losses on 872 rows of the fit",
        "frozen0.410025%",
        "adapted, 20 steps0.370075%",
        "Gain over the frozen model: 0.0500 ± 0.0100",
        "0.0600 is expected",
        "adapted models are served, mixed with the frozen one",
        "left out: it counts the rows",
        "0.4000 ± 0.0100",
        "random_state = 7",
        "testtime 0.1.0",
        "1,000 rows were fitted, 2 columns",
        "212 KB",
    ):
        assert expected in words, expected


def test_a_page_about_numbers_speaks_of_numbers():
    scores = [
        {"n_context": n, "adapted": adapted, "crps": loss, "crps_error": 2.0, "rmse": 1234.5, "mae": 9.0,
         "seconds_per_row": 1e-3}
        for n, adapted, loss in ((64, False, 45.0), (128, False, 40.0), (128, True, 35.0), (512, False, 30.0))
    ]  # fmt: skip
    measured = evaluation({}, None, -5.0, 1.0) | {"loss_name": "CRPS", "points": scores}
    measured["calibration"] = [
        {"adapted": adapted, "level": k / 20, "share": k / 21, "rows": 500}
        for adapted in (False, True)
        for k in range(1, 20)
    ]
    target = TABLE | {"classes": {}, "target_values": {"mean": 3.25, "90% quantile": 1e9}}
    text = page(
        adaptation=adaptation(loss_name="CRPS", unit="standard deviations of the target"),
        evaluation=measured,
        table=target,
    )
    reader = Reader(text)
    words = " ".join("".join(reader.text).split())
    assert reader.open == []
    assert reader.tags.count("svg") == 4
    for expected in (
        "the CRPS is lower than that of the frozen model by 5.000 (standard error 1.000)",
        "the CRPS is 35.00 served and 40.00 frozen: a difference of -5.000 with standard error 1.000",
        "RMSE 1234 against 1234, MAE 9.000 against 9.000.",
        "CRPS, in standard deviations of the target",
        "90% quantile",
        "1e+09",
    ):
        assert expected in words, expected
    assert "log loss" not in words
    assert "accuracy" not in words.replace("accuracy, not time", "").replace("accuracy or memory", "")
    assert "reaches this CRPS with 512 rows" in break_even({"seconds": 6.0}, measured).explain()


def test_a_page_without_evaluation_table_or_adaptation_is_whole():
    plain = adaptation(kept=False, status=Status.PLAIN, n_guard=0, n_query=0, n_steps=0, losses=(), adapter_bytes=0,
                       weight=0.0, parts=(), n_members=0, loss_before=NAN, loss_after=NAN, gain=NAN,
                       standard_error=NAN, expected_gain=NAN)  # fmt: skip
    reader = Reader(page(adaptation=plain, evaluation=None, table=None, notes=()))
    words = " ".join("".join(reader.text).split())
    assert reader.open == []
    assert "svg" not in reader.tags
    assert "No held-out rows were measured" in words
    assert "Nothing was measured: plain in-context learning" in words
    assert "without a description" in words
    assert "nan" not in words.lower()
    frozen = evaluation(CURVE, None)
    words = " ".join("".join(Reader(page(adaptation=plain, evaluation=frozen)).text).split())
    assert "the frozen model with 128 context rows has a log loss of 0.4000 (standard error 0.0100)" in words
    assert "Does it pay" not in words


@pytest.mark.parametrize("size", [1, 2, 8])
def test_few_steps_few_bins_and_one_length_can_be_drawn(size):
    assert draw_losses([0.5] * size).startswith("<svg")
    assert draw_curves([point(16, False, 0.5, auc=math.nan)], 16).count("axes_") == 2  # no AUC panel
    assert draw_calibration([{"adapted": False, "confidence": 1.0, "accuracy": 0.0, "rows": 3}]).endswith(
        "</svg>\n"
    )


def test_drawings_take_their_colours_from_the_page():
    drawn = [draw_curves(evaluation(CURVE, 0.35)["points"], 128), draw_gain(0.05, 0.01)]
    for text in drawn:
        assert "var(--adapted)" in text
        assert "var(--ink)" in text
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]+)", text))
        assert used <= {"#ffffff"}
    assert "var(--plain)" in drawn[0]
    assert draw_gain(0.05, 0.01) == drawn[1]  # the same numbers give the same bytes


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
        (
            -0.05,
            0.01,
            "what is served is better",
            "lower than that of the frozen model by 0.0500 (standard error 0.01",
        ),
        (-0.05, 0.03, "cannot be told apart", "cannot be told apart: 0.0500 (standard error 0.0300)"),
        (0.05, 0.03, "cannot be told apart", "cannot be told apart"),
        (0.05, 0.01, "what is served is WORSE", "is HIGHER by 0.0500"),
        (-0.05, "inf", "one row says nothing", "one held-out row says nothing"),
        (-0.05, None, "one row says nothing", "one held-out row says nothing"),
    ],
)
def test_a_difference_is_called_one_only_beyond_two_errors(difference, error, said, opened):
    measured = evaluation(CURVE, 0.35, difference, error)
    assert said in comparison(measured)
    assert opened in headline(adaptation().to_dict(), measured)


def test_headlines_for_what_was_not_measured():
    assert "frozen model is served" in headline(adaptation(kept=False).to_dict(), evaluation(CURVE, 0.3))
    known = headline(adaptation().to_dict(), None)
    assert "not trained on, the log loss is lower by 0.0500 (standard error 0.0100, nats)" in known
    unknown = adaptation(status=Status.UNGUARDED, gain=NAN, standard_error=NAN, weight=1.0)
    assert (
        headline(unknown.to_dict(), None)
        == "Adapters with a share of 100% are served; what they bring was not measured."
    )


def test_scores_without_a_number_are_left_out():
    frozen = evaluation({128: (0.4, 1e-3)}, None)
    frozen["points"][0] |= {"auc": None, "log_loss_error": "inf"}
    assert "AUC" not in comparison(frozen)
    reader = Reader(page(adaptation=adaptation(kept=False), evaluation=frozen))
    assert "0.4000 ± –" in " ".join("".join(reader.text).split())


def test_one_context_length_is_no_curve_and_no_time_to_compare():
    one = evaluation({128: (0.4, 1e-3)}, 0.35)
    assert break_even({"seconds": 6.0}, one) is None
    reader = Reader(page(evaluation=one))
    assert reader.tags.count("svg") == 3
    assert "dotted line" not in "".join(reader.text)


def test_reports_load_no_model():
    code = "import sys, testtime.report.html; print([m for m in ('torch', 'tabicl', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": ":".join(sys.path)})  # fmt: skip
    assert done.stdout.strip() == "[]"
