"""The column preprocessing against its formula, against the pretraining's own, and on hostile columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pretraining.prior.columns import standardise
from testtime.backbones.scaling import ColumnScaler


def formula(reference: np.ndarray, value: float) -> float:
    """The documented rule for one value of one column, counted row by row in extended precision."""
    present = [np.longdouble(v) for v in reference if not np.isnan(v)]
    if np.isnan(value) or len(set(present)) < 2:
        return 0.0
    m = len(present)
    mean = sum(present) / m
    deviation = np.sqrt(sum((v - mean) ** 2 for v in present) / m)
    z = min(max((np.longdouble(value) - mean) / deviation, -6.0), 6.0)
    rank = (sum(v < value for v in present) + sum(v <= value for v in present)) / (2 * m) - 0.5
    return float(0.5 * z + 0.5 * np.sqrt(12.0) * rank)


def awkward_table(seed: int, n_rows: int, *, dtype=np.float64) -> np.ndarray:
    """Normal, offset, huge, tiny, skewed, tied, two-valued, mostly zero, constant and all-missing columns."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((n_rows, 8))
    table = np.column_stack(
        [
            normal[:, 0],
            normal[:, 1] + 2000.0,
            normal[:, 2] * 1e12,
            normal[:, 3] * 1e-3,
            np.exp(2 * normal[:, 4]),
            np.round(normal[:, 5]),
            normal[:, 6] > 0,
            np.where(normal[:, 7] > 1.5, normal[:, 7], 0.0),
            np.full(n_rows, 3.7),
            np.full(n_rows, np.nan),
        ]
    ).astype(dtype)
    gaps = rng.random(table.shape) < rng.choice([0.0, 0.3], table.shape[1])
    gaps[:3] = False
    table[gaps] = np.nan
    return table


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_documented_formula(seed: int):
    table = awkward_table(seed, 90)
    context, new = table[:60], table[60:]
    scaled = ColumnScaler.fit(context).transform(table)
    for j in range(table.shape[1]):
        for i in [*range(0, 60, 7), *range(60, 60 + len(new))]:
            assert scaled[i, j] == pytest.approx(formula(context[:, j], table[i, j]), abs=1e-9), (i, j)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_context", [20, 300])
def test_it_is_what_the_model_was_pretrained_on(seed: int, n_context: int):
    """The pretraining works in float32, so agreement is as good as float32 sees the column."""
    table = awkward_table(seed, n_context + 50, dtype=np.float32)
    theirs = standardise(torch.from_numpy(table)[None], n_context)[0].numpy()
    ours = ColumnScaler.fit(table[:n_context].astype(np.float64)).transform(table.astype(np.float64))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert np.median(np.abs(ours - theirs)) < 1e-6


finite = st.floats(allow_nan=False, allow_infinity=False)
columns = arrays(
    np.float64, st.integers(1, 30), elements=st.one_of(finite, st.sampled_from([0.0, 1e300, -1e300]))
)


@given(columns, columns)
def test_any_finite_column_gives_values_within_bounds(context: np.ndarray, new: np.ndarray):
    with np.errstate(over="ignore", invalid="ignore"):
        scaler = ColumnScaler.fit(context[:, None])
        scaled = scaler.transform(new[:, None])
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 6.0
    order = np.argsort(new)
    assert (np.diff(scaled[order, 0]) >= -1e-9).all(), "larger values stay larger"


def test_huge_values_keep_their_shape():
    """A column times 1e300 is the same column."""
    values = np.random.default_rng(0).standard_normal((50, 1))
    plain = ColumnScaler.fit(values).transform(values)
    np.testing.assert_allclose(ColumnScaler.fit(values * 1e300).transform(values * 1e300), plain, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 2e3, 1.7e9])
def test_an_offset_does_not_matter(offset: float):
    """Years, or seconds since 1970 over a few months."""
    values = np.random.default_rng(0).integers(0, 10**7 if offset > 1e6 else 30, (200, 1)).astype(np.float64)
    plain = ColumnScaler.fit(values).transform(values)
    moved = ColumnScaler.fit(values + offset).transform(values + offset)
    assert np.ptp(plain) > 1
    np.testing.assert_allclose(moved, plain, atol=1e-8)


def test_times_within_a_minute_are_no_constant():
    seconds = np.random.default_rng(0).random((100, 1)) * 60
    scaled = ColumnScaler.fit(1.7e9 + seconds).transform(1.7e9 + seconds)
    np.testing.assert_allclose(scaled, ColumnScaler.fit(seconds).transform(seconds), atol=1e-5)


def test_rounding_noise_is_a_constant():
    noise = 0.3 * (1 + 1e-15 * np.arange(50.0))[:, None]
    assert len(np.unique(noise)) > 10
    assert not ColumnScaler.fit(noise).transform(noise).any()


def test_new_rows_do_not_change_how_others_are_scaled():
    table = awkward_table(0, 80)
    scaler = ColumnScaler.fit(table[:50])
    together = scaler.transform(table)
    for i in (0, 49, 50, 79):
        assert np.array_equal(scaler.transform(table[i : i + 1])[0], together[i])


def test_missing_constant_and_empty_columns_are_zero():
    table = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, np.nan], [np.nan, 5.0, np.nan]])
    scaled = ColumnScaler.fit(table).transform(np.array([[np.nan, 5.0, 1.0], [1.0, 99.0, 2.0]]))
    assert scaled[0].tolist() == [0.0, 0.0, 0.0]
    assert scaled[1, 1:].tolist() == [0.0, 0.0]
    assert scaled[1, 0] < 0


def test_long_columns_are_thinned_without_harm():
    values = np.random.default_rng(0).exponential(size=(20_000, 1))
    scaler = ColumnScaler.fit(values)
    assert len(scaler.reference[0]) == 1024
    ranks = np.argsort(np.argsort(values[:, 0])) / len(values)
    z = np.clip((values[:, 0] - values.mean()) / values.std(), -6, 6)
    expected = 0.5 * z + 0.5 * np.sqrt(12) * (ranks - 0.5)
    np.testing.assert_allclose(scaler.transform(values)[:, 0], expected, atol=2e-3)


def test_a_scaler_survives_as_arrays():
    table = awkward_table(3, 70)
    scaler = ColumnScaler.fit(table)
    arrays_ = {key: value.copy() for key, value in scaler.to_arrays().items()}
    assert all(value.dtype == np.float64 for value in arrays_.values())
    again = ColumnScaler.from_arrays(arrays_)
    assert np.array_equal(again.transform(table), scaler.transform(table))


@pytest.mark.parametrize("scale", [1e-300, 1.6e-19, 1e-6, 1.0, 1e19, 1e300])
def test_what_varies_is_seen_at_every_scale(scale: float):
    column = np.array([1.0, 2.0, 3.0, 4.0, 5.0])[:, None]
    reference = ColumnScaler.fit(column).transform(column)
    np.testing.assert_allclose(
        ColumnScaler.fit(scale * column).transform(scale * column), reference, rtol=1e-12, atol=1e-12
    )
    noise = np.array([1.0, 1 + 2.3e-16, 1 - 1.2e-16])[:, None]
    assert not ColumnScaler.fit(scale * noise).transform(scale * noise).any()
