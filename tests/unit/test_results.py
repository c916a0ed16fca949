"""What is answered: sentences that say what happened, and plain values that survive JSON."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from testtime.results import Adaptation, Part, Result, Status

KEPT = Adaptation(
    kept=True,
    status=Status.KEPT,
    objective="accuracy",
    loss_before=0.5,
    loss_after=0.4,
    gain=0.1,
    standard_error=0.02,
    expected_gain=0.12,
    weight=0.7,
    parts=(Part("frozen", 0.5, 0.3), Part("adapted, 40 steps", 0.42, 0.7)),
    n_steps=40,
    n_context=654,
    n_query=491,
    n_guard=618,
    n_members=8,
    n_views=8,
    n_trainable=12_345,
    adapter_bytes=49_380,
    adapt="encoders",
    step_size=5e-4,
    seconds=3.21,
    losses=(0.6, 0.5),
    probes=({"n_context": 64.0, "loss": 0.55},),
    columns=({"name": "size", "kind": "number"},),
    notes=("A note.",),
)
NOTHING = dataclasses.replace(
    KEPT, kept=False, status=Status.PLAIN, weight=0.0, parts=(), n_steps=0, n_query=0, n_guard=0, n_members=0,
    adapter_bytes=0, losses=(), **dict.fromkeys(("loss_before", "loss_after", "gain", "standard_error"), math.nan),
)  # fmt: skip


def test_the_sentences_hold_the_numbers():
    text = KEPT.explain()
    for part in (
        "12,345 values",
        "40 steps",
        "491 rows",
        "654 rows as context",
        "On 618 rows that each model had not seen, the log loss, in nats, fell from 0.5000 to 0.4000",
        "by 0.1000, standard error 0.0200",
        "0.5000 frozen, 0.4200 adapted, 40 steps",
        "the mean of 8 adapters (70%) and the frozen model in 8 views",
        "adapted models are served, mixed with the frozen one",
        "3.2 s",
        "49 KB",
        "A note.",
    ):
        assert part in text, part


def test_the_loss_is_named_with_its_unit():
    numbers = dataclasses.replace(KEPT, loss_name="CRPS", unit="standard deviations of the target")
    assert "the CRPS, in standard deviations of the target, fell from 0.5000" in numbers.explain()
    assert "log loss" not in numbers.explain()


def test_a_longer_context_is_named_where_fewer_rows_are_served():
    assert "With all rows as context" not in KEPT.explain()
    assert "the frozen model had 0.3000" in dataclasses.replace(KEPT, rival_loss=0.3).explain()


def test_without_a_gain_the_frozen_model_is_said_to_be_served():
    text = dataclasses.replace(
        KEPT,
        kept=False,
        status=Status.REVERTED_NO_GAIN,
        weight=0.0,
        loss_after=0.5,
        gain=0.0,
        adapter_bytes=0,
    ).explain()
    assert "no mixture was better than the frozen model" in text
    assert "as context and the frozen model in 8 views" in text
    assert "KB" not in text


@pytest.mark.parametrize("status", [Status.PLAIN, Status.REVERTED_TOO_FEW, Status.REVERTED_FEW_GROUPS])
def test_nothing_trained_is_said_to_be_nothing(status: Status):
    text = dataclasses.replace(NOTHING, status=status).explain()
    assert "Nothing was trained" in text
    assert status.value in text
    assert "nan" not in text


def test_a_loss_that_became_non_finite_is_said_in_words():
    record = dataclasses.replace(
        KEPT, kept=False, status=Status.REVERTED_NON_FINITE, weight=0.0, loss_after=math.nan, gain=math.nan
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
    assert status.value in text


def test_a_record_survives_json():
    hostile = dataclasses.replace(KEPT, loss_after=math.nan, standard_error=math.inf, losses=(0.5, 0.25))
    for record in (KEPT, hostile, NOTHING):
        text = json.dumps(record.to_dict(), allow_nan=False)
        again = Adaptation.from_dict(json.loads(text))
        assert json.dumps(again.to_dict(), allow_nan=False) == text
        assert again.status is record.status
        assert again.parts == record.parts
        assert type(again.losses) is tuple
    assert Adaptation.from_dict(KEPT.to_dict()) == KEPT
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
