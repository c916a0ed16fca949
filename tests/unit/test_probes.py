"""Probed context lengths and the choice between them, on a model whose loss is a known function of the length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.models import LineLearner, line_rows
from testtime.adapt.learner import Rows
from testtime.adapt.probes import ContextProbe, choose_context, probe_contexts, probe_sizes


@pytest.mark.parametrize(
    ("n_rows", "n_classes", "sizes"),
    [
        (100, 2, ()),
        (127, 2, ()),
        (128, 2, (32,)),
        (256, 2, (32, 64)),
        (1000, 2, (32, 64, 128)),
        (1024, 2, (32, 64, 128, 256)),
        (10**6, 2, (32, 64, 128, 256)),
        (256, 40, (64,)),
    ],
)
def test_sizes_leave_three_quarters_of_the_rows_and_show_every_class(
    n_rows: int, n_classes: int, sizes: tuple[int, ...]
):
    assert probe_sizes(n_rows, n_classes) == sizes


class LengthLearner(LineLearner):
    """Row ``i`` has the loss ``1 / n + slope_i / n`` in a context of ``n`` rows."""

    def output(self, context: Rows, query_x: torch.Tensor) -> torch.Tensor:
        super().output(context, query_x)
        return (1 + query_x[:, :1]) / len(context)


def test_probes_are_losses_of_nested_contexts_on_rows_outside_all_of_them():
    slopes = np.random.default_rng(0).standard_normal(300)
    learner, order = LengthLearner(), np.random.default_rng(1).permutation(300)
    probes = probe_contexts(learner, line_rows(slopes), order, (16, 32, 64), n_query=100)
    query = slopes[order[64:164]]
    for probe, n in zip(probes, (16, 32, 64), strict=True):
        loss = (1 + query) / n
        difference = loss - (1 + query) / 64
        assert probe.n_context == n
        assert probe.loss == pytest.approx(loss.mean(), rel=1e-12)
        assert probe.standard_error == pytest.approx(
            np.sqrt(difference.var(ddof=1) / 100), rel=1e-9, abs=1e-15
        )
    assert [context for _, context, _ in learner.calls] == [tuple(order[:n]) for n in (16, 32, 64)]
    assert all(rows == tuple(order[64:164]) for *_, rows in learner.calls)
    assert not any(trains for trains, *_ in learner.calls)


def probe(n: int, loss: float, error: float = 0.0) -> ContextProbe:
    return ContextProbe(n, loss, error)


@pytest.mark.parametrize(
    ("probes", "chosen"),
    [
        ((probe(32, 0.5, 0.1), probe(64, 0.45, 0.1), probe(128, 0.4)), 64),
        ((probe(32, 0.5, 0.01), probe(64, 0.45, 0.01), probe(128, 0.4)), 128),
        ((probe(64, 0.3, 0.0), probe(128, 0.4)), 64),
        ((probe(32, 0.1, 0.0), probe(64, 0.5, 0.0), probe(128, 0.4)), 128),
        ((probe(32, 0.1, 0.0),), 32),
    ],
    ids=["within its error", "outside its error", "better when short", "too short to trust", "only one"],
)
def test_the_shortest_context_that_is_as_good_is_chosen(probes: tuple[ContextProbe, ...], chosen: int):
    assert choose_context(probes) == chosen
