"""From rows to a fitted table: what is trained on what, what is measured, what is served, on a model that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.chosen import rows, run
from tests.support.faults import FaultyBackbone
from tests.support.linear import LinearBackbone
from tests.support.tables import fitted, linear_table
from testtime.backbones.base import Encoded
from testtime.errors import InputError
from testtime.results import Status
from testtime.table import encoding as encoding_module
from testtime.table.config import SHORT
from testtime.table.encoding import EncodedRows
from testtime.table.fit import Chosen
from testtime.table.levels import LevelStatistics


class Told:
    """Keeps what it is told."""

    def __init__(self):
        self.planned, self.did, self.said = [], [], []

    def plan(self, rows):
        self.planned.append(rows)

    def done(self, rows):
        self.did.append(rows)

    def say(self, what):
        self.said.append(what)


class TestOutcomes:
    @pytest.mark.parametrize("n_classes", [2, 3, 0])
    @pytest.mark.parametrize("objective", ["accuracy", "short"])
    def test_what_can_be_learnt_is_kept(self, n_classes: int, objective: str):
        chosen = run(rows(n_classes=n_classes), n_classes=n_classes, objective=objective, n_members=4)
        assert chosen.status is Status.KEPT
        assert chosen.weight > 0.5
        assert chosen.mix.loss < 0.95 * chosen.mix.frozen_loss
        assert len(chosen.states) == 4

    @pytest.mark.parametrize("n_classes", [2, 0])
    def test_noise_has_little_weight_and_is_never_worse(self, n_classes: int):
        weights = []
        for seed in range(8):
            chosen = run(rows(n_classes=n_classes, noise=True), n_classes=n_classes, seed=seed, n_members=4)
            assert chosen.mix.loss <= chosen.mix.frozen_loss
            assert (chosen.status is Status.KEPT) == (chosen.weight > 0) == bool(chosen.states)
            weights.append(chosen.weight)
        assert np.mean(weights) < 0.5

    def test_without_steps_nothing_is_measured(self):
        calls = []
        chosen = run(rows(), LinearBackbone(lambda *call: calls.append(call)), n_steps=0)
        assert (chosen.status, chosen.mix, chosen.states) == (Status.PLAIN, None, ())
        assert calls == []

    @pytest.mark.parametrize("n", [4, 8, 20, 31])
    def test_few_rows_are_served_as_they_are(self, n: int):
        chosen = run(rows(n))
        assert chosen.status is Status.REVERTED_TOO_FEW
        assert (chosen.n_context, chosen.answers) == (n, [])

    def test_few_rows_are_trained_on_when_asked(self):
        assert run(rows(20), n_steps=3, n_members=4).mix is not None

    def test_repeats_count_as_one_row(self):
        given = rows(10)
        x, y = np.repeat(given.x, 20, axis=0), np.repeat(given.y, 20)
        many = EncodedRows(replace(given.encoded, x=x), x, y)
        chosen = run(many)
        assert chosen.status is Status.REVERTED_FEW_GROUPS
        assert "200 of 200 rows repeat" in " ".join(chosen.notes)

    def test_without_a_guard_the_adapters_are_served_alone(self):
        chosen = run(rows(noise=True), guard=False, n_members=4)
        assert chosen.status is Status.UNGUARDED
        assert (chosen.weight, chosen.mix, len(chosen.states)) == (1.0, None, 4)

    @pytest.mark.parametrize("guard", [True, False])
    @pytest.mark.parametrize("fault", ["loss", "gradient"])
    @pytest.mark.parametrize("n_steps", [1, 4])
    def test_a_loss_that_is_no_number_is_said(self, guard: bool, fault: str, n_steps: int):
        chosen = run(rows(), FaultyBackbone(LinearBackbone(), fault, None), guard=guard, n_steps=n_steps)
        assert (chosen.status, chosen.states) == (Status.REVERTED_NON_FINITE, ())

    def test_one_broken_adapter_is_enough(self):
        """Which of the learners is an adapter's is not known here; each in turn is broken in its second step."""
        statuses = [
            run(rows(), FaultyBackbone(LinearBackbone(), "loss", 1, only=k), n_members=4).status
            for k in range(1, 9)
        ]
        assert statuses.count(Status.REVERTED_NON_FINITE) == 4, "four learners train, four only predict"
        assert statuses.count(Status.KEPT) == 4

    @pytest.mark.parametrize("step_size", [1e4, 1e30])
    def test_a_huge_step_is_not_served(self, step_size: float):
        for noise in (False, True):
            chosen = run(rows(noise=noise), n_steps=3, step_size=step_size)
            assert chosen.mix is None or chosen.mix.loss <= chosen.mix.frozen_loss


class TestRows:
    def watched(
        self, given: EncodedRows, *, recipe: dict | None = None, **params
    ) -> tuple[Chosen, list[tuple[str, bool, bool, set[float]]]]:
        """The first column of every call, whether weights were changed, and whether gradients were taken."""
        seen = []

        def watch(what, weights, context, x):
            values = set((context.x if x is None else x).double().numpy().round(5).ravel().tolist())
            seen.append((what, bool(weights), torch.is_grad_enabled(), values))

        return run(given, LinearBackbone(watch, **(recipe or {})), **params), seen

    @pytest.mark.parametrize("n_steps", [1, 4])
    @pytest.mark.parametrize("params", [{"objective": SHORT}, {"n_context": 30}])
    def test_a_short_context_is_context_in_training_and_never_asked_for(self, n_steps: int, params: dict):
        """Adapters learn to answer from the very rows that will be served; what they answer are other rows."""
        given = rows()
        chosen, seen = self.watched(given, n_steps=n_steps, n_members=4, **params)
        shown = chosen.views[0].features(given.x, torch.zeros(())).double().numpy().round(5)
        served = set(shown[chosen.order[: chosen.n_context]].ravel().tolist())
        read, asked = (
            [values for what, _, grad, values in seen if grad and what == kind]
            for kind in ("read", "predict")
        )
        assert len(read) == len(asked) >= 4
        assert all(values == served or values.isdisjoint(served) for values in read)
        assert 0 < sum(values == served for values in read) < len(read)
        assert set().union(*asked).isdisjoint(served)

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_the_recipe_says_how_often(self, share: float):
        given = rows()
        chosen, seen = self.watched(given, recipe={"served_share": share}, n_steps=6, n_context=30)
        shown = chosen.views[0].features(given.x, torch.zeros(())).double().numpy().round(5)
        served = set(shown[chosen.order[:30]].ravel().tolist())
        read = [values for what, _, grad, values in seen if grad and what == "read"]
        assert [values == served for values in read] == [share == 1.0] * len(read)

    def test_in_time_served_rows_are_trained_on_and_contexts_are_drawn(self):
        """What is served comes from rows that folds are trained on; with them as context it would answer for itself."""
        given = rows()
        timed = EncodedRows(given.encoded, given.x, given.y, time=np.arange(len(given.y), dtype=float))
        _, seen = self.watched(timed, recipe={"served_share": 1.0}, n_steps=6, n_context=30)
        read = [frozenset(values) for what, _, grad, values in seen if grad and what == "read"]
        assert len(set(read)) == len(read) >= 6

    @pytest.mark.parametrize("n_members", [1, 3, 4, 8])
    def test_each_adapter_is_measured_on_rows_it_has_not_seen(self, n_members: int):
        given = rows()
        chosen = run(given, n_members=n_members)
        assert len(chosen.answers) == min(n_members, 4)
        assert sum(len(one.trained) for one in chosen.answers) == n_members
        assert chosen.mix.n_rows == 40 * min(n_members, 4)
        assert chosen.n_pool == 120

    def test_groups_are_on_one_side(self):
        """A class for each group, drawn at random: a fold that shares a group with the pool would look learnable."""
        rng = np.random.default_rng(0)
        centre = rng.standard_normal((20, 4))
        groups = np.repeat(np.arange(20), 10)
        x = centre[groups] + 0.05 * rng.standard_normal((200, 4))
        y = rng.integers(0, 2, 20)[groups]
        encoded = Encoded(x, tuple("abcd"), ("number",) * 4, (0,) * 4)
        chosen = run(EncodedRows(encoded, x, y, groups), n_members=4, n_steps=30)
        alone = run(EncodedRows(encoded, x, y), n_members=4, n_steps=30)
        assert chosen.mix.gain < alone.mix.gain

    def test_later_rows_measure_what_earlier_ones_taught(self):
        """The effect of the first column changes its sign half way: earlier rows teach the wrong thing."""
        given = rows(400)
        y = np.where(np.arange(400) < 240, given.y, 1 - given.y)
        time = np.arange(400.0)
        in_time = run(EncodedRows(given.encoded, given.x, y, time=time), n_members=4)
        steady = run(EncodedRows(given.encoded, given.x, given.y, time=time), n_members=4)
        assert in_time.weight < 0.1
        assert steady.weight > 0.5


class TestContext:
    def test_all_rows_up_to_the_limit(self):
        chosen = run(rows(500), n_steps=0)
        assert chosen.n_context == 200
        assert "a draw of 200 of 500 rows" in " ".join(chosen.notes)

    def test_a_short_context_is_chosen_from_probes(self):
        chosen = run(rows(400), objective=SHORT)
        assert chosen.n_context in LinearBackbone.recipe.sizes
        assert [probe.n_context for probe in chosen.probes] == [16, 32, 64]
        assert f"A context of {chosen.n_context} rows was chosen" in " ".join(chosen.notes)
        assert chosen.rival_loss is not None

    def test_a_number_is_taken_as_it_is(self):
        chosen = run(rows(400), n_context=57)
        assert (chosen.n_context, chosen.probes) == (57, ())

    @pytest.mark.parametrize("objective", ["accuracy", "short"])
    def test_the_first_rows_show_every_class(self, objective: str):
        given = rows(300, 3)
        chosen = run(given, n_classes=3, objective=objective)
        assert sorted(chosen.order) == list(range(300))
        assert set(given.y[chosen.order[:3]]) == {0, 1, 2}


def test_rows_that_repeat_the_past_may_be_remembered():
    """The same hundred rows at each of five moments: without groups of the user they are no reason to refuse."""
    one = rows(100)
    x, y = np.tile(one.x, (5, 1)), np.tile(one.y, 5)
    encoded = replace(one.encoded, x=x)
    chosen = run(EncodedRows(encoded, x, y, None, np.repeat(np.arange(5.0), 100)))
    assert chosen.status is Status.KEPT
    assert not any("copies stay" in note for note in chosen.notes)


class TestSeeds:
    def test_the_same_seed_gives_the_same_bytes(self):
        one, two, other = (run(rows(), seed=seed, adapt="lora", rank=2) for seed in (0, 0, 1))
        assert len(one.states) == len(two.states) == 8
        for a, b, c in zip(one.states, two.states, other.states, strict=True):
            assert all(torch.equal(a[key], b[key]) for key in a)
            assert not all(torch.equal(a[key], c[key]) for key in a)
        assert one.mix == two.mix
        assert np.array_equal(one.order, two.order)

    def test_the_first_adapters_do_not_depend_on_how_many_follow(self):
        few, many = run(rows(), n_members=4), run(rows(), n_members=8)
        assert (len(few.states), len(many.states)) == (4, 8)
        for one, two in zip(few.states, many.states[:4], strict=True):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[key], two[key]) for key in one)


class TestLevels:
    def nominal(self, n: int = 160) -> EncodedRows:
        rng = np.random.default_rng(0)
        x = rng.integers(0, 30, n).astype(float)[:, None]
        y = rng.integers(0, 2, n)
        encoded = Encoded(x, ("town",), ("nominal",), (30,))
        crossed = LevelStatistics.fit(encoded, y, 2).cross_fitted(encoded, y, 0)
        return EncodedRows(encoded, crossed, y)

    def test_nothing_of_a_folds_targets_is_in_any_of_its_rows(self):
        """Change the targets of the fold: not one number of the encoding may change."""
        given, fold = self.nominal(), np.arange(0, 160, 4)
        seed = np.random.SeedSequence(0)
        one = encoding_module.encode_fold(given.encoded, given.y, 2, fold, seed)
        y = given.y.copy()
        y[fold] = 1 - y[fold]
        two = encoding_module.encode_fold(given.encoded, y, 2, fold, np.random.SeedSequence(0))
        assert one.shape[1] > 1
        assert np.array_equal(one, two)

    def test_what_levels_say_about_random_targets_is_not_believed(self):
        """Five rows a level: their own targets would tell everything, those of other rows nothing."""
        chosen = run(self.nominal(), n_members=4, n_steps=30)
        assert chosen.mix.gain <= 2 * chosen.mix.standard_error

    def test_copies_are_found_beside_statistics_that_differ(self):
        """Every row three times, with a level that few others have: its means come from other folds each time."""
        rng = np.random.default_rng(0)
        plain = np.column_stack([rng.integers(0, 30, 60), rng.standard_normal(60)])
        x, y = np.repeat(plain, 3, axis=0).astype(float), np.repeat(rng.integers(0, 2, 60), 3)
        encoded = Encoded(x, ("town", "size"), ("nominal", "number"), (30, 0))
        crossed = LevelStatistics.fit(encoded, y, 2).cross_fitted(encoded, y, 0)
        assert len(np.unique(crossed, axis=0)) > 60
        chosen = run(EncodedRows(encoded, crossed, y), n_members=4)
        assert "180 of 180 rows repeat" in " ".join(chosen.notes)


class TestRecord:
    def test_it_counts_what_was_done(self):
        frame, y = linear_table()
        record = fitted(LinearBackbone(), frame, y, n_members=4, adapt="head").record
        assert record.kept
        assert (record.n_guard, record.n_query, record.n_context) == (160, 120, 160)
        assert (record.n_members, record.n_views) == (4, 4)
        assert (record.n_trainable, record.adapter_bytes) == (10, 4 * 10 * 4)
        assert record.adapt == "head"
        assert [part.name for part in record.parts] == ["frozen", f"adapted, {record.n_steps} steps"]
        assert sum(part.weight for part in record.parts) == pytest.approx(1.0)
        assert record.gain == pytest.approx(record.loss_before - record.loss_after)
        assert record.loss_before == record.parts[0].loss
        assert len(record.columns) == 4

    def test_the_length_of_one_step_is_recorded(self):
        frame, y = linear_table()
        record = fitted(LinearBackbone(), frame, y, n_steps=1).record
        assert record.n_steps == 1
        assert record.step_size / 0.05 in [0.0, *(2.0**k for k in range(-3, 6))]
        assert "one step" in record.explain()

    def test_unfit_tables_are_refused(self):
        frame, y = linear_table()
        wide = frame.assign(**{f"x{i}": np.random.default_rng(i).random(160) for i in range(20)})
        with pytest.raises(InputError, match="24 columns; expected at most 12"):
            fitted(LinearBackbone(), wide, y)

    def test_large_tables_are_drawn_from(self, monkeypatch: pytest.MonkeyPatch):
        from testtime.table import reading

        monkeypatch.setattr(reading, "MOST_ROWS", 100)
        frame, y = linear_table()
        table = fitted(LinearBackbone(), frame, y, n_steps=0)
        assert len(table.y) == 100
        assert "100 of 160 rows were drawn" in " ".join(table.record.notes)

    def test_all_work_that_is_planned_is_told_done(self):
        frame, y = linear_table()
        work = Told()
        fitted(
            LinearBackbone(),
            frame,
            y,
            n_members=4,
            work=work,
        )
        assert len(work.planned) == 1
        assert sum(work.did) == work.planned[0]
