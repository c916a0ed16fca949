"""Nominal columns in the prior, and the view of them that a model is served."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pretraining.prior import sample_batch
from pretraining.prior.draws import Draws
from pretraining.prior.labels import draw_class_counts
from pretraining.prior.nominal import Layout, draw_layout, random_effects, to_nominal
from pretraining.prior.serving import serve
from tests.support.made_up import SMALL_PRIOR

NOMINAL = replace(
    SMALL_PRIOR, nominal=1.0, statistics=1.0, features=(4, 9), missing=0.5, repeats=0.3, informative=0.3
)


@pytest.mark.parametrize("step", range(20))
@pytest.mark.parametrize("regression", [False, True])
def test_batches_with_nominal_columns_have_the_promised_shape(step, regression):
    batch = sample_batch(replace(NOMINAL, regression=regression), 3, step)
    assert torch.isfinite(batch.x).all()
    assert batch.x.abs().max() <= 6
    assert 4 <= batch.x.shape[2] <= 9
    assert 32 <= batch.x.shape[1] == batch.y.shape[1] <= 64
    assert batch.mask.shape[1] == batch.x.shape[1] - batch.n_context


@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 12, 60])
def test_a_layout_fills_the_columns_exactly(n_features):
    for seed in range(40):
        layout = draw_layout(Draws(seed), n_features, 100, statistics=0.7, numeric=seed % 2 == 0)
        beside = layout.n_nominal * (layout.frequency + layout.n_means)
        assert layout.n_raw + beside == n_features
        assert 0 <= layout.n_nominal <= min(8, layout.n_raw)


def test_levels_have_one_value_each_and_unequal_frequencies():
    draws = Draws(1)
    value, code = to_nominal(draws, draws.normal(6, 2000, 4), 50)
    largest = []
    for table in range(6):
        for column in range(4):
            own_code, own_value = code[table, :, column], value[table, :, column]
            levels, counts = own_code.unique(return_counts=True)
            assert 3 <= len(levels) <= 50
            assert all(len(own_value[own_code == level].unique()) == 1 for level in levels)
            largest.append(float(counts.max() * len(levels) / counts.sum()))
    assert min(largest) < 1.3  # some columns have levels of equal size
    assert max(largest) > 4  # and in some one level is frequent


def test_codes_are_mostly_in_an_order_that_says_nothing():
    draws = Draws(2)
    x = draws.normal(40, 500, 2)
    _, code = to_nominal(draws, x, 30)
    correlation = [abs(np.corrcoef(x[b, :, k], code[b, :, k])[0, 1]) for b in range(40) for k in range(2)]
    assert np.median(correlation) < 0.5
    assert max(correlation) > 0.8  # ordinal columns exist


@pytest.mark.parametrize("classes", [True, False])
def test_random_effects_are_found_again_by_averaging_over_levels(classes):
    found = []
    for seed in range(12):
        draws = Draws(seed)
        code = draws.integers(5, 8, 3000, 1)
        n_classes = torch.full((8,), 2) if classes else None
        y = random_effects(draws, torch.zeros(8, 3000, 0), code, 5, n_classes).double()
        for table in range(8):
            mean = [y[table, code[table, :, 0] == level].mean() for level in range(5)]
            fitted = torch.stack(mean)[code[table, :, 0]]
            found.append(float(1 - (y[table] - fitted).var() / y[table].var().clamp_min(1e-9)))
    assert np.quantile(found, 0.8) > 0.5  # strong in some tables
    assert np.quantile(found, 0.1) < 0.25  # weak in others


# --- what is served


class Known(Draws):
    """Draws whose shuffle is none, whose smoothing is 5 and whose choices are given."""

    def __init__(self, one_out: bool):
        super().__init__(3)
        self.one_out = one_out
        self.fold = None

    def coin(self, probability):
        return self.one_out and probability == 0.25

    def permutations(self, *shape):
        return torch.arange(shape[-1]).expand(*shape)

    def log_uniform(self, *shape, low, high):
        return torch.full(shape, 5.0)

    def integers(self, high, *shape):
        self.fold = super().integers(high, *shape)
        return self.fold


N_CONTEXT, N_SHOWN, N_ALL = 20, 40, 50
LAYOUT = Layout(3, 2, True, 1, N_ALL - N_SHOWN)


def made_up(numeric=False):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, N_ALL, 1, generator=rng)
    code = torch.randint(-1, 6, (2, N_ALL, 2), generator=rng)
    code[:, N_CONTEXT + 3, :] = 6  # a level that no labelled row has
    y = torch.randn(2, N_ALL, generator=rng) if numeric else torch.randint(0, 2, (2, N_ALL), generator=rng)
    return x, code, y


@pytest.mark.parametrize("one_out", [True, False])
def test_level_statistics_are_those_of_other_labelled_rows(one_out):
    draws, (x, code, y) = Known(one_out), made_up(numeric=True)
    served, targets = serve(draws, x, code, y, N_CONTEXT, LAYOUT)
    fold = torch.arange(N_ALL) if one_out else draws.fold
    labelled = [i for i in range(N_ALL) if i < N_CONTEXT or i >= N_SHOWN]
    assert served.shape == (2, N_SHOWN, 7)
    torch.testing.assert_close(targets, y[:, :N_SHOWN])
    torch.testing.assert_close(served[:, :, :1], x[:, :N_SHOWN])
    for b in range(2):
        prior = sum(float(y[b, j]) for j in labelled) / len(labelled)
        for k in range(2):
            for i in range(N_SHOWN):
                same = [j for j in labelled if code[b, j, k] == code[b, i, k]]
                others = [j for j in same if not (i < N_CONTEXT and fold[i] == fold[j])]
                total = sum(float(y[b, j]) for j in others)
                assert float(served[b, i, 3 + k]) == pytest.approx(len(others), abs=1e-5)
                assert float(served[b, i, 5 + k]) == pytest.approx(
                    (total + 5 * prior) / (len(others) + 5), abs=1e-5
                )
                shown = float(served[b, i, 1 + k])
                if code[b, i, k] < 0:
                    assert math.isnan(shown)
                elif same:
                    assert shown == code[b, i, k]
                else:
                    assert shown > code.max()


def test_a_row_never_carries_its_own_label_and_query_labels_never_count():
    x, code, y = made_up()
    before = serve(Known(False), x, code, y, N_CONTEXT, LAYOUT)[0]
    for row in (0, 7):
        changed = y.clone()
        changed[:, row] = 1 - changed[:, row]
        after = serve(Known(False), x, code, changed, N_CONTEXT, LAYOUT)[0]
        # The prior of all labelled rows moves a little with any label; the sum over the level does not.
        assert (after[:, row, 5:] - before[:, row, 5:]).abs().max() < 1.0 / 30 + 1e-6
        assert not torch.equal(after[:, N_CONTEXT:], before[:, N_CONTEXT:])
    changed = y.clone()
    changed[:, N_CONTEXT:N_SHOWN] = 1 - changed[:, N_CONTEXT:N_SHOWN]
    after = serve(Known(False), x, code, changed, N_CONTEXT, LAYOUT)[0]
    torch.testing.assert_close(after, before, equal_nan=True)


def test_statistics_of_classes_are_those_of_classes_that_exist():
    draws = Draws(5)
    n_classes = draw_class_counts(draws, 30)
    y = draws.integers(1 << 20, 30, 200) % n_classes[:, None]
    code = draws.integers(4, 30, 200, 1)
    layout = Layout(1, 1, False, 2, 0)
    served, _ = serve(draws, torch.zeros(30, 200, 0), code, y, 200, layout)
    spread = served.std(1).sort(1).values
    assert (spread[:, 0] > 0).all()  # a class that is nowhere would give a constant column
