"""Orderings, folds and episodes: stratified, disjoint, complete, seeded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testtime.adapt.episodes import deal_folds, sample_episode, sample_query, stratified_order
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


groups_like = st.sampled_from(["none", "alone", "pairs", "few", "uneven"])


def grouped(kind: str, n: int, seed: int) -> np.ndarray | None:
    """Group codes of `n` rows."""
    if kind == "none":
        return None
    if kind == "alone":
        return np.arange(n)
    if kind == "pairs":
        return rng(seed).permutation(n) // 2
    if kind == "few":
        return rng(seed).integers(0, 6, n)
    return np.minimum(rng(seed).geometric(0.2, n), 9)


@given(labels_and_seed, st.integers(2, 5), st.booleans(), groups_like)
def test_every_row_is_in_one_fold_and_no_group_in_two(
    case: tuple[np.ndarray, int], n_folds: int, classification: bool, kind: str
):
    labels, seed = case
    n = len(labels)
    rows = np.sort(rng(seed).permutation(2 * n)[:n])  # some rows of a longer table
    table, groups = np.zeros(2 * n, dtype=np.int64), grouped(kind, 2 * n, seed)
    table[rows] = labels
    targets = table if classification else None
    units = n if groups is None else len(np.unique(groups[rows]))
    if units < n_folds:
        with pytest.raises(InputError, match=f"{units} .*expected at least {n_folds}"):
            deal_folds(rows, targets, groups, n_folds, rng(seed))
        return
    folds = deal_folds(rows, targets, groups, n_folds, rng(seed))
    assert len(folds) == n_folds
    assert np.array_equal(np.sort(np.concatenate(folds)), rows)
    assert all(np.array_equal(fold, np.sort(fold)) for fold in folds)
    if groups is None or kind == "alone":
        assert np.ptp([len(fold) for fold in folds]) <= 1 + (len(np.unique(labels)) if classification else 0)
        return
    owners = [set(groups[fold]) for fold in folds]
    assert sum(map(len, owners)) == len(set.union(*owners)), "a group is on both sides of a split"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("groups", [None, np.arange(908) // 2])
def test_folds_are_stratified(seed: int, groups: np.ndarray | None):
    """A fold that misses a class cannot see what adaptation does to it."""
    labels = np.repeat([0, 1, 2], [600, 300, 8])
    folds = deal_folds(np.arange(908), labels, groups, 4, rng(seed))
    for fold in folds:
        assert np.abs(np.bincount(labels[fold], minlength=3) - [150, 75, 2]).max() <= 1


def test_classes_are_even_beside_large_groups():
    """One group holds a third of the rows; single rows fill the other folds up, class by class."""
    labels = np.arange(300) % 3
    groups = np.concatenate([np.zeros(100, dtype=np.int64), np.arange(1, 201)])
    folds = deal_folds(np.arange(300), labels, groups, 3, rng())
    assert sorted(len(fold) for fold in folds) == [100, 100, 100]
    for fold in folds:
        assert np.ptp(np.bincount(labels[fold])) <= 2


def test_large_groups_are_spread():
    """Eight groups of forty rows and four folds: two each."""
    groups = np.repeat(np.arange(8), 40)
    labels = np.repeat(np.arange(8) % 2, 40)
    for seed in range(10):
        for fold in deal_folds(np.arange(320), labels, groups, 4, rng(seed)):
            assert len(fold) == 80
            assert np.bincount(labels[fold]).tolist() == [40, 40]


def test_no_fold_is_left_without_rows():
    """Eight groups of one class each: the first group of every class is as good in one fold as in another."""
    groups = np.repeat(np.arange(8), 15)
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])[groups]
    for seed in range(10):
        folds = deal_folds(np.arange(120), labels, groups, 4, rng(seed))
        assert min(len(fold) for fold in folds) >= 15
    for sizes in ([40, 20, 15, 15, 10], [90, 2, 2, 2], [30, 30, 2, 2, 2]):  # each group a class of its own
        own = np.repeat(np.arange(len(sizes)), sizes)
        assert all(len(fold) for fold in deal_folds(np.arange(len(own)), own, own, 4, rng()))


def test_groups_of_a_class_each_fill_the_folds_evenly():
    own = np.repeat(np.arange(12), 10)
    assert [len(fold) for fold in deal_folds(np.arange(120), own, own, 4, rng())] == [30] * 4


def test_the_seed_decides_which_fold_a_row_is_in():
    labels = np.arange(80) % 2
    one, again, other = (deal_folds(np.arange(80), labels, None, 4, rng(seed)) for seed in (1, 1, 2))
    assert all(map(np.array_equal, one, again))
    assert not all(map(np.array_equal, one, other))


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


@given(labels_and_seed, st.integers(1, 30), st.integers(1, 30), st.booleans())
def test_queries_of_a_served_context_are_answerable_rows_of_the_pool(
    case: tuple[np.ndarray, int], n_context: int, n_query: int, classification: bool
):
    labels, seed = case
    order = rng(seed).permutation(len(labels))
    served, pool = order[: len(order) // 2 + 1], order[len(order) // 2 + 1 :]
    targets = labels if classification else None
    episode = sample_query(served, pool, targets, n_context, n_query, rng(seed))
    context, query = set(episode.context), set(episode.query)
    assert context <= set(served)
    assert len(context) == len(episode.context) == min(n_context, len(served))
    assert query <= set(pool)
    assert len(query) == len(episode.query) <= n_query
    known = np.isin(labels[pool], labels[episode.context]).all() or not classification
    assert len(query) == min(n_query, len(pool)) or not known
    if classification:
        assert set(labels[episode.query]) <= set(labels[episode.context])
