"""Probed context lengths and the choice between them, on a model whose loss is a known function of the length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.linear import Linear, LinearBackbone, LinearLearner
from testtime.adapt.learner import Rows, Weights
from testtime.adapt.task import Classes, Numbers
from testtime.backbones.base import Encoded
from testtime.table.encoding import EncodedRows
from testtime.table.probes import Probe, choose_context, probe_contexts

SIZES = (32, 64, 128, 256)


class LengthLearner(LinearLearner):
    """Every answer is the distance ``1 / n`` from a target of 0, in a context of ``n`` rows; `seen` tells which."""

    def __init__(self, power: float = 1.0) -> None:
        super().__init__(Linear(9), 0)
        self.power, self.seen = power, []

    def read(self, weights: Weights, context: Rows) -> Tensor:
        self.seen.append(context.x[:, 0].tolist())
        return torch.full((9,), float(len(context)) ** -self.power, dtype=context.x.dtype)


def table(n: int, n_classes: int = 0) -> EncodedRows:
    """The only column is the position of the row."""
    x = np.arange(float(n))[:, None]
    y = np.arange(n) % n_classes if n_classes else np.zeros(n)
    return EncodedRows(Encoded(x, ("row",), ("number",), (0,)), x, y)


def probe(
    learner: LinearLearner, n: int, n_classes: int = 0, sizes: tuple[int, ...] = SIZES
) -> tuple[Probe, ...]:
    rows = table(n, n_classes)
    task = Classes(n_classes) if n_classes else Numbers()
    (view,) = LinearBackbone().views(rows.encoded, rows.y, task, 1, np.random.SeedSequence(0))
    return probe_contexts(learner, view, rows, np.arange(n), sizes, task)


def test_the_loss_at_each_length_is_measured():
    probes = probe(LengthLearner(), 2000)
    assert [one.n_context for one in probes] == list(SIZES)
    # Nine quantiles at 1 / n and a target of 0: twice the mean of 1 - level, which is 1 / n.
    assert [one.loss for one in probes] == pytest.approx([1 / n for n in SIZES], rel=1e-6)
    assert probes[-1].standard_error == 0.0
    assert probes[0].to_dict() == {
        "n_context": 32,
        "loss": probes[0].loss,
        "standard_error": probes[0].standard_error,
    }


def test_contexts_are_nested_and_queries_lie_outside_all_of_them():
    learner = LengthLearner()
    queried: list[float] = []
    learner.watch = lambda what, weights, context, x: (
        queried.extend(x[:, 0].tolist()) if what == "predict" else None
    )
    probe(learner, 2000)
    longest = learner.seen[-1]
    assert all(seen == longest[: len(seen)] for seen in learner.seen)
    assert set(queried).isdisjoint(longest)


@pytest.mark.parametrize(("n", "lengths"), [(127, []), (128, [32]), (300, [32, 64]), (1023, [32, 64, 128])])
def test_three_quarters_of_the_rows_are_left(n: int, lengths: list[int]):
    assert [one.n_context for one in probe(LengthLearner(), n)] == lengths


def test_every_class_is_shown():
    probes = probe(LinearLearner(Linear(10), 10), 200, 10, sizes=(4, 9, 10, 40))
    assert [one.n_context for one in probes] == [10, 40]


def test_longer_is_taken_when_it_is_better():
    assert choose_context(probe(LengthLearner(), 2000)) == 256


def test_shorter_is_taken_when_length_does_not_matter():
    assert choose_context(probe(LengthLearner(power=0.0), 2000)) == 64


@pytest.mark.parametrize(
    ("losses", "errors", "chosen"),
    [
        ([0.5, 0.5, 0.5], [0.0, 0.0, 0.0], 64),
        ([0.5, 0.52, 0.5], [0.1, 0.01, 0.0], 128),
        ([0.5, 0.505, 0.5], [0.1, 0.01, 0.0], 64),
        ([0.9, 0.8, 0.5], [0.1, 0.1, 0.0], 128),
        ([0.4, 0.4, 0.5], [0.0, 0.0, 0.0], 64),
    ],
)
def test_within_one_standard_error_is_as_good(losses: list[float], errors: list[float], chosen: int):
    """32 rows are too few to be chosen by their luck."""
    probes = tuple(map(Probe, (32, 64, 128), losses, errors))
    assert choose_context(probes) == chosen


def test_when_all_are_short_the_longest_is_taken():
    assert choose_context((Probe(16, 0.5, 0.1), Probe(32, 0.6, 0.0))) == 32
