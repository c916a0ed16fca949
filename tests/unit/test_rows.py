"""The choices behind "auto": which rows are served, which guard, how many steps; accuracy, short, and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testtime.adapt.episodes import stratified_order
from testtime.backbones.base import Limits, Recipe
from testtime.errors import InputError
from testtime.table.config import SHORT, FitConfig
from testtime.table.rows import (
    FEWEST_STEPS,
    MOST_GUARD_ROWS,
    N_FOLDS,
    choose_steps,
    deal_rows,
    plan_context,
    reference_rows,
)

LIMITS = Limits(classes=10, features=500, context=1024)
RECIPE = Recipe(rates={"encoders": 1e-3}, n_steps=30, n_steps_short=50, rows_per_step=6)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestContext:
    @pytest.mark.parametrize(("n_rows", "served"), [(2, 2), (500, 500), (1024, 1024), (5000, 1024)])
    def test_all_rows_up_to_what_the_model_takes(self, n_rows: int, served: int):
        assert plan_context(FitConfig(), LIMITS, n_rows, 2) == served
        assert plan_context(FitConfig(objective=SHORT), LIMITS, n_rows, 2) == served

    @pytest.mark.parametrize(
        ("context", "params", "n_reference"),
        [
            (4096, {}, 4096),
            (4096, {"objective": SHORT}, 1024),
            (4096, {"n_context": 128}, 1024),
            (4096, {"n_context": 2000}, 2000),
            (600, {"n_context": 128}, 600),
        ],
    )
    def test_views_are_made_from_all_that_is_served_and_from_a_thousand_rows(
        self, context: int, params: dict, n_reference: int
    ):
        limits = Limits(classes=10, features=500, context=context)
        assert reference_rows(FitConfig(**params), limits) == n_reference

    def test_what_the_user_fixed_stays_fixed(self):
        assert plan_context(FitConfig(n_context=77), LIMITS, 1000, 2) == 77
        assert plan_context(FitConfig(n_context=100, n_steps=0), LIMITS, 100, 2) == 100

    @pytest.mark.parametrize(
        ("n_rows", "n_classes", "params", "texts"),
        [
            (100, 2, {"n_context": 101, "n_steps": 0}, ["n_context=101", "100 rows", "100 or less"]),
            (200, 2, {"n_context": 193}, ["n_context=193", "8 of them needed", "192 or less"]),
            (8, 2, {"n_context": 4, "n_steps": 3}, ["n_context=4", "Add rows, or pass n_steps=0"]),
            (5000, 2, {"n_context": 4997}, ["n_context=4,997", "5,000 rows", "4,992 or less"]),
            (100, 5, {"n_context": 4, "n_steps": 0}, ["n_context=4", "classes, 5", "n_context=5 or more"]),
            (100, 5, {"n_context": 4, "n_steps": 2}, ["n_context=4", "classes, 5"]),
            (8, 0, {"n_context": 1, "n_steps": 2}, ["n_context=1", "8 rows"]),
        ],
    )
    def test_a_context_that_cannot_be_is_refused(
        self, n_rows: int, n_classes: int, params: dict, texts: list[str]
    ):
        with pytest.raises(InputError) as caught:
            plan_context(FitConfig(**params), LIMITS, n_rows, n_classes)
        for text in texts:
            assert text in str(caught.value)


class TestSteps:
    @pytest.mark.parametrize(
        ("n_pool", "short", "steps"),
        [(6, False, FEWEST_STEPS), (90, False, 15), (10_000, False, 30), (10_000, True, 50)],
    )
    def test_they_grow_with_the_rows_up_to_the_most(self, n_pool: int, short: bool, steps: int):
        assert choose_steps(FitConfig(), RECIPE, n_pool, short=short) == steps

    def test_what_the_user_fixed_stays_fixed(self):
        assert choose_steps(FitConfig(n_steps=999), RECIPE, 10, short=False) == 999
        assert choose_steps(FitConfig(n_steps=1), RECIPE, 10_000, short=True) == 1


def deal(n: int, n_served: int | None, *, labels=None, groups=None, time=None, limits=LIMITS, seed: int = 0):
    order = stratified_order(labels, n, rng(seed))
    return order, deal_rows(order, labels, groups, n_served, N_FOLDS, limits, rng(seed), time)


class TestFolds:
    @given(st.integers(12, 90), st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.booleans())
    def test_no_fold_sees_what_it_guards(self, n: int, seed: int, short: bool, classes: bool, repeats: bool):
        labels = rng(seed).integers(0, 3, n) if classes else None
        groups = rng(seed).integers(0, max(8, n // 2), n) if repeats else None
        if groups is not None and len(np.unique(groups)) < 8:
            return
        n_served = max(3, n // 10) if short else None
        try:
            order, folds = deal(n, n_served, labels=labels, groups=groups, seed=seed)
        except InputError:
            assert groups is not None, "only groups can be too few here"
            return
        guarded = np.concatenate([fold.guard for fold in folds])
        assert len(guarded) == len(set(guarded))
        for fold in folds:
            seen = {*fold.pool, *fold.context, *fold.rival}
            assert seen.isdisjoint(fold.held)
            assert set(fold.guard) <= set(fold.held)
            if groups is not None:
                assert set(groups[list(seen)]).isdisjoint(groups[fold.held])
        if groups is None:
            expected = set(order) - set(order[: n_served or 0])
            assert set(guarded) <= expected
            fold_of = {row: fold for fold in folds for row in fold.held}
            for row in expected - set(guarded):  # every row that may be guarded is, once
                assert labels is not None
                assert labels[row] not in labels[fold_of[row].context], "its class is not shown"

    def test_all_rows_outside_a_fold_are_its_context(self):
        order, folds = deal(200, None, labels=np.arange(200) % 2)
        place = np.argsort(order)
        for fold in folds:
            assert set(fold.context) == set(fold.pool) == set(range(200)) - set(fold.held)
            assert np.all(np.diff(place[fold.context]) > 0), "a prefix of the ordering, which is stratified"
            assert len(fold.rival) == 0

    def test_a_short_context_is_the_same_for_all_and_never_trained_on(self):
        order, folds = deal(200, 32, labels=np.arange(200) % 2)
        for fold in folds:
            assert np.array_equal(fold.context, order[:32])
            assert set(fold.pool).isdisjoint(order[:32])
            assert len(fold.pool) == 126
            assert set(fold.rival) == set(range(200)) - set(fold.held), "all rows that the fold may see"
            assert np.array_equal(fold.rival[:32], order[:32])

    def test_a_copy_of_a_served_row_is_trained_on_and_guards_nothing(self):
        groups = np.arange(100) % 50  # each row twice
        order, folds = deal(100, 20, groups=groups)
        served = set(groups[order[:20]])
        for fold in folds:
            assert served.isdisjoint(groups[fold.held])
            assert served & set(groups[fold.pool])

    def test_no_context_is_longer_than_the_model_takes(self):
        limits = Limits(classes=2, features=5, context=50)
        for n_served in (None, 20):
            _order, folds = deal(400, n_served, limits=limits)
            for fold in folds:
                assert len(fold.context) == (50 if n_served is None else 20)
                assert len(fold.rival) == (0 if n_served is None else 50)
                assert len(fold.pool) > 200, "training sees all of them"

    def test_guard_rows_are_capped(self):
        _order, folds = deal(8_000, None, labels=np.arange(8000) % 2)
        for fold in folds:
            assert len(fold.held) == 2000
            assert len(fold.guard) == MOST_GUARD_ROWS
            assert set(fold.guard) <= set(fold.held)
            assert np.ptp(np.bincount(np.arange(8000)[fold.guard] % 2)) <= 0.1 * MOST_GUARD_ROWS

    def test_too_few_groups_are_said(self):
        with pytest.raises(InputError, match=f"3 groups of rows.*at least {N_FOLDS}"):
            deal(60, None, groups=np.arange(60) % 3)


class TestTime:
    @pytest.mark.parametrize("n_served", [None, 16])
    def test_what_a_fold_sees_is_earlier_than_what_it_guards(self, n_served: int | None):
        time = rng().permutation(200).astype(float)
        _, folds = deal(200, n_served, time=time)
        assert len(folds) == N_FOLDS
        for fold in folds:
            for seen in (fold.pool, fold.context, fold.rival):
                if len(seen):
                    assert time[seen].max() < time[fold.held].min()
            assert len(fold.context) == min(n_served or len(fold.pool), len(fold.pool))
        starts = [time[fold.held].min() for fold in folds]
        assert starts == sorted(starts)

    def test_the_later_rows_are_all_guarded_once(self):
        time = np.arange(200.0)
        _, folds = deal(200, None, time=time)
        guarded = np.concatenate([fold.held for fold in folds])
        assert sorted(guarded) == list(range(120, 200))

    def test_rows_of_one_moment_stay_together(self):
        time = np.repeat(np.arange(25.0), 8)
        _, folds = deal(200, None, time=time)
        moments = [set(time[fold.held]) for fold in folds]
        assert sum(map(len, moments)) == len(set.union(*moments))
        assert all(set(time[fold.pool]).isdisjoint(time[fold.held]) for fold in folds)

    def test_groups_are_kept_apart_as_well(self):
        groups = np.arange(200) // 20  # ten patients, one after the other, and the last one came once before
        groups[:5] = 9
        _, folds = deal(200, None, time=np.arange(200.0), groups=groups)
        for fold in folds:
            assert set(groups[fold.pool]).isdisjoint(groups[fold.held])
        assert set(range(5)) <= set(folds[0].pool)
        assert set(range(5)).isdisjoint(folds[-1].pool)

    @pytest.mark.parametrize("n_moments", [1, 2, 4])
    def test_too_few_moments_are_said(self, n_moments: int):
        with pytest.raises(
            InputError, match=f"time has {n_moments} different values.*at least {N_FOLDS + 1}"
        ):
            deal(100, None, time=np.arange(100.0) % n_moments)

    @pytest.mark.parametrize("n_moments", [5, 6, 7, 9, 13])
    def test_few_moments_are_enough(self, n_moments: int):
        _, folds = deal(100, None, time=np.arange(100.0) % n_moments)
        assert all(len(fold.held) and len(fold.pool) for fold in folds)

    def test_a_class_that_the_context_does_not_show_is_not_measured(self):
        """Six classes of a single row: each is in one fold, whose context cannot show it."""
        labels = np.r_[np.arange(2, 8), np.tile([0, 1], 57)]
        order = np.random.default_rng(0).permutation(120)
        for time in (None, np.arange(120.0)):
            folds = deal_rows(order, labels, None, None, N_FOLDS, LIMITS, np.random.default_rng(0), time)
            for fold in folds:
                assert set(labels[fold.guard]) <= set(labels[fold.context])
            assert sum(len(fold.guard) for fold in folds) == (114 if time is None else 48)
        numbers = deal_rows(order, None, None, None, N_FOLDS, LIMITS, np.random.default_rng(0))
        assert sum(len(fold.guard) for fold in numbers) == 120

    def test_too_little_past_is_said_without_a_word_of_groups(self):
        time = np.r_[0.0, np.repeat(np.arange(1.0, 5.0), 20)]
        with pytest.raises(InputError, match="the first 1 moments of time have 1 of 81 rows") as caught:
            deal(81, None, time=time)
        assert "group" not in str(caught.value)

    def test_groups_that_leave_no_past_are_said(self):
        with pytest.raises(InputError, match="groups or time, not both"):
            deal(200, None, time=np.arange(200.0), groups=np.arange(200) % 10)
