"""What is answered: sentences that say what happened, and plain values that survive JSON."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from testtime.results import Adaptation, Result, Status

KEPT = Adaptation(
    kept=True,
    status=Status.KEPT,
    loss_before=0.5,
    loss_after=0.4,
    difference=-0.1,
    standard_error=0.02,
    margin=0.02,
    n_steps=40,
    n_context=128,
    n_query=654,
    n_guard=218,
    n_folds=1,
    n_members=1,
    n_trainable=12_345,
    adapter_bytes=49_380,
    adapt="encoders",
    step_size=5e-4,
    seconds=3.21,
    losses=(0.6, 0.5),
    probes=({"n_context": 64.0, "loss": 0.55},),
    notes=("A note.",),
)


def test_the_sentences_hold_the_numbers():
    text = KEPT.explain()
    for part in (
        "12,345 values",
        "40 steps",
        "654 rows",
        "128 context rows",
        "218 guard rows",
        "fell from 0.5000",
    ):
        assert part in text
    for part in (
        "0.4000",
        "-0.1000",
        "0.0200",
        "one fold",
        "adapted weights kept",
        "3.2 s",
        "49 KB",
        "A note.",
    ):
        assert part in text
    assert "None of them was trained on" in text


def test_the_loss_is_named_with_its_unit():
    assert "the log loss, in nats, fell from 0.5000" in KEPT.explain()
    numbers = dataclasses.replace(KEPT, loss_name="CRPS")
    assert "the CRPS, in standard deviations of the target, fell from 0.5000" in numbers.explain()
    assert "log loss" not in numbers.explain()


def test_records_saved_before_losses_had_names_are_log_losses():
    older = {name: value for name, value in KEPT.to_dict().items() if name != "loss_name"}
    assert Adaptation.from_dict(older) == KEPT


def test_a_reverted_adapter_is_not_said_to_be_served():
    text = dataclasses.replace(
        KEPT, kept=False, status=Status.REVERTED_NO_GAIN, loss_after=0.6, difference=0.1, adapter_bytes=0
    ).explain()
    assert "rose from 0.5000 to 0.6000" in text
    assert "no gain on guard rows" in text
    assert "KB" not in text
    assert "None of them was trained on" not in text


@pytest.mark.parametrize("status", [Status.PLAIN, Status.REVERTED_TOO_FEW, Status.REVERTED_TIME])
def test_nothing_trained_is_said_to_be_nothing(status: Status):
    nan = math.nan
    record = dataclasses.replace(
        KEPT,
        kept=False,
        status=status,
        loss_before=nan,
        loss_after=nan,
        difference=nan,
        standard_error=math.inf,
        margin=math.inf,
        n_steps=0,
        n_query=0 if status is not Status.REVERTED_TIME else 654,
        n_guard=0 if status is not Status.REVERTED_TIME else 218,
        n_folds=0,
        adapter_bytes=0,
        losses=(),
    )
    text = record.explain()
    assert "Nothing was trained" in text
    assert status.value in text
    assert "nan" not in text


def test_a_loss_that_became_non_finite_is_said_in_words():
    record = dataclasses.replace(
        KEPT,
        kept=False,
        status=Status.REVERTED_NON_FINITE,
        loss_after=math.nan,
        difference=math.nan,
        standard_error=math.inf,
        margin=math.inf,
        adapter_bytes=0,
    )
    text = record.explain()
    assert "non-finite" in text
    assert "lower step_size" in text
    assert "nan" not in text
    assert "inf " not in text


@pytest.mark.parametrize("status", list(Status))
def test_every_status_gives_whole_sentences(status: Status):
    text = dataclasses.replace(KEPT, kept=status in (Status.KEPT, Status.UNGUARDED), status=status).explain()
    assert text.endswith(".")
    assert ".." not in text
    assert status.value in text or status.value.capitalize() in text or not KEPT.n_guard


def test_a_record_survives_json():
    hostile = dataclasses.replace(KEPT, loss_after=math.nan, margin=math.inf, losses=(0.5, 0.25))
    for record in (KEPT, hostile):
        text = json.dumps(record.to_dict(), allow_nan=False)
        again = Adaptation.from_dict(json.loads(text))
        assert json.dumps(again.to_dict(), allow_nan=False) == text
        assert again.status is record.status
        assert type(again.losses) is tuple
    assert math.isnan(Adaptation.from_dict(json.loads(json.dumps(hostile.to_dict()))).loss_after)


def test_results_hold_plain_values():
    @dataclasses.dataclass(frozen=True)
    class Example(Result):
        number: object
        many: object
        status: Status
        inner: object

    example = Example(
        np.float64(0.5), np.array([1, 2]), Status.KEPT, {"a": (math.nan, -math.inf, np.int64(3))}
    )
    plain = {"number": 0.5, "many": [1, 2], "status": "KEPT", "inner": {"a": [None, "-inf", 3]}}
    assert example.to_dict() == plain
    assert json.loads(json.dumps(example.to_dict(), allow_nan=False)) == plain


def test_results_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        KEPT.kept = False  # type: ignore[misc]
