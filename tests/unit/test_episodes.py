"""Orderings, splits and episodes: stratified, disjoint, complete, seeded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testtime.adapt.episodes import sample_episode, split_rows, stratified_order
from testtime.errors import InputError

labels_and_seed = st.tuples(
    st.lists(st.sampled_from([0, 0, 0, 0, 1, 1, 2, 5]), min_size=1, max_size=80).map(np.array),
    st.integers(0, 2**32 - 1),
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(labels_and_seed)
def test_every_prefix_is_stratified(case: tuple[np.ndarray, int]):
    labels, seed = case
    order = stratified_order(labels, len(labels), rng(seed))
    assert sorted(order) == list(range(len(labels)))
    classes, sizes = np.unique(labels, return_counts=True)
    shares = sizes / len(labels)
    counts = np.zeros(len(classes))
    for n, row in enumerate(order, start=1):
        counts[classes == labels[row]] += 1
        if n <= len(classes):
            assert counts.max() == 1, "no class comes twice before every class came once"
        else:
            assert counts.min() >= 1
            # One row off for rounding, and the rows that brought the small classes to the front.
            assert (np.abs(counts - n * shares) <= 1 + len(classes) * shares + 1e-9).all()


def test_prefixes_of_a_large_table_keep_its_proportions():
    labels = np.repeat([0, 1, 2], [6000, 3000, 1000])
    order = stratified_order(labels, 10_000, rng())
    for n in (10, 100, 1000, 5000):
        assert np.abs(np.bincount(labels[order[:n]]) - n * np.array([0.6, 0.3, 0.1])).max() <= 2


def test_every_row_is_as_likely_as_any_other_to_come_first():
    labels = np.array([0, 0, 0, 0, 1])
    firsts = [
        next(r for r in stratified_order(labels, 5, rng(seed)) if labels[r] == 0) for seed in range(800)
    ]
    counts = np.bincount(firsts, minlength=4)
    assert np.abs(counts - 200).max() < 4 * np.sqrt(800 * 0.25 * 0.75)


def test_real_valued_targets_give_a_plain_permutation():
    order = stratified_order(None, 50, rng())
    assert sorted(order) == list(range(50))
    assert (order != np.arange(50)).any()


@pytest.mark.parametrize("labels", [None, np.arange(60) % 3])
def test_the_seed_decides(labels: np.ndarray | None):
    first, again, other = (stratified_order(labels, 60, rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(labels_and_seed, st.integers(1, 20), st.integers(2, 5), st.booleans())
def test_a_split_covers_all_rows_once(
    case: tuple[np.ndarray, int], n_context: int, n_folds: int, classification: bool
):
    labels, seed = case
    targets = labels if classification else None
    order = stratified_order(targets, len(labels), rng(seed))
    if len(labels) - n_context < n_folds:
        with pytest.raises(InputError, match=f"n_context={n_context} leaves"):
            split_rows(order, targets, n_context, n_folds, rng(seed))
        return
    split = split_rows(order, targets, n_context, n_folds, rng(seed))
    assert np.array_equal(split.context, order[:n_context])
    everything = np.concatenate([split.context, *split.folds])
    assert sorted(everything) == list(range(len(labels))), "each row is in exactly one set"
    assert len(split.folds) == n_folds
    assert np.ptp([len(fold) for fold in split.folds]) <= 1
    for k, fold in enumerate(split.folds):
        training = set(split.training_rows(k))
        assert training.isdisjoint(fold)
        assert training.isdisjoint(split.context)
        assert len(training) + len(fold) + n_context == len(labels)


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_stratified(seed: int):
    """A guard fold that misses a class cannot see what adaptation does to it."""
    labels = np.repeat([0, 1, 2], [600, 300, 8])
    split = split_rows(stratified_order(labels, 908, rng(seed)), labels, 100, 4, rng(seed))
    rest = np.bincount(labels[np.concatenate(split.folds)])
    for fold in split.folds:
        assert np.abs(np.bincount(labels[fold], minlength=3) - rest / 4).max() <= 1


@given(labels_and_seed, st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_an_episode_is_disjoint_and_answerable(
    case: tuple[np.ndarray, int], n_context: int, n_query: int, classification: bool
):
    labels, seed = case
    pool = rng(seed).permutation(len(labels))[: max(2, len(labels) // 2)]
    targets = labels if classification else None
    episode = sample_episode(pool, targets, n_context, n_query, rng(seed))
    context, query = set(episode.context), set(episode.query)
    assert len(context) == len(episode.context)
    assert len(query) == len(episode.query)
    assert context.isdisjoint(query)
    assert context | query <= set(pool)
    assert 1 <= len(context) <= max(n_context, 1)
    assert len(query) <= n_query
    if classification:
        assert set(labels[episode.query]) <= set(labels[episode.context]), "a class that was never shown"


def test_an_episode_has_the_wanted_sizes_when_rows_suffice():
    labels = np.arange(100) % 2
    episode = sample_episode(np.arange(10, 100), labels, 32, 40, rng())
    assert (len(episode.context), len(episode.query)) == (32, 40)
    assert np.bincount(labels[episode.context]).tolist() == [16, 16]
    assert min(*episode.context, *episode.query) >= 10


def test_a_small_pool_is_shared_two_to_one():
    episode = sample_episode(np.arange(30), None, 128, 256, rng())
    assert (len(episode.context), len(episode.query)) == (20, 10)


def test_query_rows_of_an_absent_class_are_left_out():
    """Ten classes, ten context rows, then a class with one row that came last."""
    labels = np.array([0] * 20 + [1, 2])
    for seed in range(20):
        episode = sample_episode(np.arange(22), labels, 2, 20, rng(seed))
        absent = {0, 1, 2} - set(labels[episode.context])
        assert len(absent) == 1
        expected = 20 - int(np.isin(labels, list(absent)).sum())
        assert len(episode.query) == expected
