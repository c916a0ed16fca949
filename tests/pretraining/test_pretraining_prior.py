"""The synthetic prior and the preprocessing contract."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pretraining.pool import load_pool
from pretraining.prior import MAX_CLASSES, countable, sample_batch, standardise
from pretraining.prior.columns import roughen
from pretraining.prior.draws import Draws
from pretraining.prior.functions import FUNCTIONS, base_features
from pretraining.prior.labels import draw_class_counts, draw_shares, flip
from pretraining.prior.selection import skill
from pretraining.prior.sources import causal_tables, class_tables
from tests.support.made_up import SMALL_PRIOR, make_pool
from testtime.backbones.scaling import ColumnScaler

# --- the preprocessing contract


def by_hand(column, n_context):
    """The rule of ``standardise`` for one column, written with plain loops."""
    context = [v for v in column[:n_context] if not np.isnan(v)]
    if not context or max(context) == min(context):
        return np.zeros(len(column))
    mean = sum(context) / len(context)
    deviation = (sum((v - mean) ** 2 for v in context) / len(context)) ** 0.5
    out = []
    for value in column:
        if np.isnan(value):
            out.append(0.0)
            continue
        z = min(6.0, max(-6.0, (value - mean) / deviation))
        below, equal = sum(v < value for v in context), sum(v == value for v in context)
        out.append(0.5 * z + 0.5 * 12**0.5 * ((below + equal / 2) / len(context) - 0.5))
    return np.array(out)


def test_standardise_follows_its_rule_with_ties_outliers_missing_and_constant_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype(np.float32)
    x[:, 1] = rng.integers(0, 3, 40)
    x[0, 2] = 1e4
    x[rng.random(40) < 0.3, 3] = np.nan
    x[:25, 4] = 7.0
    x[:, 5] = np.nan
    got = standardise(torch.from_numpy(x)[None], 25)[0].numpy()
    expected = np.stack([by_hand(x[:, j].astype(np.float64), 25) for j in range(6)], axis=1)
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_standardise_reads_context_rows_only():
    x = torch.randn(3, 30, 5, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 20:] = changed[:, 20:] * 50 + 3
    before, after = standardise(x, 20), standardise(changed, 20)
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.equal(before[:, 20:], after[:, 20:])
    one_row = standardise(torch.cat([x[:, :20], changed[:, 25:26]], dim=1), 20)
    assert torch.equal(one_row[:, 20], after[:, 25])


def test_standardise_ignores_shift_and_scale_of_a_column():
    x = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(standardise(3.5 * x - 11, 30), standardise(x, 30), atol=1e-4, rtol=0)


def test_inference_scales_columns_as_the_prior_does():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 5))
    x[:, 0] = np.exp(3 * x[:, 0])
    x[:, 1] = rng.integers(0, 4, 80)
    x[:, 2] = np.where(rng.random(80) < 0.8, 0.0, x[:, 2])
    x[rng.random((80, 5)) < 0.1] = np.nan
    inference = ColumnScaler.fit(x[:60]).transform(x)
    training = standardise(torch.from_numpy(x).float()[None], 60)[0].numpy()
    np.testing.assert_allclose(inference, training, atol=2e-4)


# --- the prior


@pytest.mark.parametrize("step", range(25))
def test_batches_are_finite_bounded_and_well_formed(step):
    config = replace(SMALL_PRIOR, missing=0.5, roughen=1.0)
    batch = sample_batch(config, 3, step)
    n_tables, n_rows, n_features = batch.x.shape
    assert batch.y.shape == (n_tables, n_rows)
    assert batch.mask.shape == (n_tables, n_rows - batch.n_context)
    assert torch.isfinite(batch.x).all()
    assert batch.x.abs().max() <= 6
    assert 2 <= n_features <= 6
    assert 32 <= n_rows <= 64
    assert batch.y.min() >= 0
    assert batch.y.max() < MAX_CLASSES


def test_batches_repeat_per_seed_and_step_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = sample_batch(SMALL_PRIOR, 1, 7), sample_batch(SMALL_PRIOR, 1, 7)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert torch.equal(before, torch.get_rng_state())
    other = sample_batch(SMALL_PRIOR, 2, 7)
    assert first.x.shape != other.x.shape or not torch.equal(first.x, other.x)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_label_functions_use_every_class_code_below_the_count(name):
    draws = Draws(11)
    n_classes = draw_class_counts(draws, 40)
    x = base_features(draws, 40, 200, 5)
    y = FUNCTIONS[name](draws, x, n_classes)
    assert (y.max(1).values < n_classes).all()
    assert y.min() >= 0
    distinct = torch.tensor([len(row.unique()) for row in y])
    assert (distinct >= 2).float().mean() > 0.8


@pytest.mark.parametrize("make", [partial(causal_tables, n_tables=4), class_tables])
def test_table_processes_give_labelled_tables(make):
    draws = Draws(2)
    n_classes = torch.tensor([2, 3, 10, 5])
    x, y = make(draws, n_rows=100, n_features=4, n_classes=n_classes)
    assert x.shape == (4, 100, 4)
    assert torch.isfinite(x).all()
    assert (y.max(1).values < n_classes).all()


def test_skill_tells_a_clean_rule_from_noise():
    draws = Draws(0)
    x = draws.normal(8, 400, 4)
    y = (x[:, :, 0] > 0).long()
    noise = draws.integers(2, 8, 400)
    assert skill(draws, x, y).min() > 0.7
    assert skill(draws, x, noise).max() < 0.35


def test_the_mask_drops_classes_absent_from_the_context_and_one_class_contexts():
    y = torch.tensor([[0, 1, 0, 1, 2, 0], [3, 3, 3, 3, 0, 3]])
    assert countable(y, 3).tolist() == [[True, False, True], [False, False, False]]


def test_pool_tables_are_resampled_to_the_asked_shape():
    pool = make_pool()
    x, y = pool.draw(6, 50, 8, torch.Generator().manual_seed(1))
    assert x.shape == (6, 50, 8)
    assert (x.std(1) > 0.3).all()
    assert all(len(row.unique()) == 2 for row in y)


def test_pool_shards_round_trip(tmp_path):
    pool = make_pool()
    np.savez(
        tmp_path / "shard-0000.npz", x=pool.x.numpy(), y=pool.y.numpy(), n_features=pool.n_features.numpy()
    )
    assert len(load_pool(tmp_path, 2)) == 2
    assert torch.equal(load_pool(tmp_path).x, pool.x)
    assert load_pool(tmp_path / "nothing") is None


# --- switches: each leaves one ingredient out


def draw_columns(**switches) -> torch.Tensor:
    """Columns of 400 rows after the defects, of several seeds, (tables, 400, 5)."""
    return torch.cat([roughen(d, d.normal(6, 400, 5)) for d in (Draws(s, **switches) for s in range(40))])


def share_of_columns(x: torch.Tensor, condition) -> float:
    """Share of columns for which a condition on their values holds."""
    columns = x.transpose(1, 2).flatten(0, 1)
    return float(np.mean([condition(column) for column in columns]))


def test_without_levels_no_defect_codes_a_column():
    def few(column):
        values = column.unique()
        return len(values) <= 8 and bool((values == values.round()).all())

    assert share_of_columns(draw_columns(), few) > 0.1
    assert share_of_columns(draw_columns(levels=False), few) < 0.02


def test_without_tails_no_column_is_heavy():
    def heavy(column):
        return (
            float(((column - column.median()) / (column - column.median()).abs().median()).abs().max()) > 40
        )

    assert share_of_columns(draw_columns(useless=False, levels=False), heavy) > 0.05
    light = draw_columns(useless=False, levels=False, tails=False)
    spread = light[light.std(1, keepdim=True).expand_as(light) > 0.9]
    assert spread.abs().max() < 12


def test_without_useless_columns_every_defect_keeps_the_order_of_its_column():
    def untouched(**switches):
        """Share of columns whose ranks still correlate with the column before the defects."""
        kept = []
        for seed in range(30):
            draws = Draws(seed, levels=False, **switches)
            x = draws.normal(4, 300, 4)
            after = roughen(draws, x)
            both = torch.stack([x, after]).argsort(2).argsort(2).double()
            centred = both - both.mean(2, keepdim=True)
            r = (centred[0] * centred[1]).sum(1) / centred.square().sum(2).prod(0).sqrt()
            kept.append((r.abs() > 0.5).double().mean())
        return float(np.mean(kept))

    assert untouched() < 0.95
    assert untouched(useless=False) > 0.97


def test_without_imbalance_class_shares_are_equal():
    n_classes = torch.tensor([2, 3, 7])
    shares = draw_shares(Draws(0, imbalance=False), n_classes)
    for row, n in zip(shares, n_classes.tolist(), strict=True):
        assert row.tolist() == pytest.approx([1 / n] * n + [0.0] * (MAX_CLASSES - n))
    assert draw_shares(Draws(0), n_classes).max() > 0.6


def test_label_noise_flips_the_share_of_tables_it_is_told_to():
    y = torch.arange(400).repeat(200, 1) % 10
    assert torch.equal(flip(Draws(0), y, 0.0), y)
    touched = (flip(Draws(0), y, 0.3) != y).any(1).float().mean()
    assert 0.2 < touched < 0.4
    assert (flip(Draws(0), y, 1.0) != y).float().mean() < 0.25


@pytest.mark.parametrize("switch", ["levels", "tails", "useless", "imbalance"])
def test_batches_are_well_formed_without_an_ingredient(switch):
    for step in range(12):
        batch = sample_batch(replace(SMALL_PRIOR, **{switch: False}), 1, step)
        assert torch.isfinite(batch.x).all()
        assert len(batch.y.unique()) > 1
