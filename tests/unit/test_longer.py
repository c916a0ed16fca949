"""Training goes on in stages while it pays, and what an earlier stage gave is never lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.faults import FaultyBackbone
from tests.support.line import Clock
from tests.support.linear import LinearBackbone
from tests.unit.test_table_fit import Told, rows, run
from testtime.adapt.budget import Budget
from testtime.adapt.trained import Trained
from testtime.results import Status
from testtime.table import fit
from testtime.table.fit import Chosen
from testtime.table.outside import FoldRuns

N_STEPS = 8  # of the first stage, see tests.support.linear


def taken(chosen: Chosen) -> int:
    return len(chosen.answers[0].trained[0].losses)


def steps(chosen: Chosen) -> list[int]:
    return sorted(chosen.answers[0].adapted)


class TestStages:
    @pytest.mark.parametrize("n_classes", [2, 0])
    def test_training_goes_on_while_it_pays(self, n_classes: int):
        given = rows(n_classes=n_classes)
        once = run(given, LinearBackbone(), n_classes=n_classes, n_members=4)
        on = run(given, LinearBackbone(longer=(2.0,)), n_classes=n_classes, n_members=4)
        assert taken(once) == N_STEPS
        assert taken(on) == 3 * N_STEPS
        assert steps(on)[:4] == [4, 8, 16, 24]
        assert on.mix.expected_gain > once.mix.expected_gain
        assert on.n_steps > once.n_steps
        note = (
            "Training went on for 16 more steps, since those before had paid; what is served are the adapters after "
            f"{on.n_steps} steps."
        )
        assert on.notes[-1] == note
        assert len(on.states) == len(once.states) == 4

    def test_the_first_stage_is_what_it_was(self):
        """Tables on which more steps do not pay are served as if there could be none."""
        once, on = (run(rows(), LinearBackbone(longer=longer), n_members=4) for longer in ((), (2.0,)))
        for first, both in zip(once.answers, on.answers, strict=True):
            assert np.array_equal(first.frozen, both.frozen)
            for n, answers in first.adapted.items():
                assert np.array_equal(both.adapted[n], answers)

    def test_what_is_served_was_measured(self, monkeypatch: pytest.MonkeyPatch):
        """The states are those behind the answers that the mixture was fitted on, in the order of the adapters."""
        guarded, fold_of = [], fit.fold_of

        def watched(*arguments):
            guarded.append(fold_of(*arguments).guard)
            return fold_of(*arguments)

        monkeypatch.setattr(fit, "fold_of", watched)
        given = rows()
        chosen = run(given, LinearBackbone(longer=(2.0,)), n_members=4)
        for state, one in zip(chosen.states, chosen.answers, strict=True):
            assert state is one.trained[0].snapshots[chosen.n_steps]
        measured = np.concatenate(guarded)
        answers = np.concatenate([one.adapted[chosen.n_steps][0] for one in chosen.answers])
        expected = -np.log(answers[np.arange(len(measured)), given.y[measured]]).mean()
        assert chosen.mix.adapted_loss == pytest.approx(expected)

    @pytest.mark.parametrize("seed", range(4))
    def test_noise_is_left_after_the_first(self, seed: int):
        chosen = run(rows(noise=True), LinearBackbone(longer=(2.0, 4.0)), seed=seed, n_members=4)
        assert taken(chosen) == N_STEPS

    def test_a_stage_must_be_worth_more_than_what_was_there_before(self):
        chosen = run(rows(), LinearBackbone(), n_members=4)
        recipe = replace(LinearBackbone().recipe, longer=(2.0, 4.0, 8.0), worth_longer=0.05)
        chosen.mix = replace(chosen.mix, frozen_loss=1.0, expected_gain=0.1)
        multiples = fit._while_it_pays(chosen, recipe)
        assert next(multiples) == 2.0
        chosen.mix = replace(chosen.mix, expected_gain=0.15)
        assert next(multiples) == 4.0
        chosen.mix = replace(chosen.mix, expected_gain=0.19)
        assert list(multiples) == []

    def test_a_stage_begins_where_the_one_before_ended_and_asks_the_frozen_model_nothing(self):
        asked: dict[tuple[float, ...], int] = {}

        def stages(longer: tuple[float, ...]) -> Chosen:
            def watch(what, weights, context, x):
                asked[longer] = asked.get(longer, 0) + (what == "read" and not weights)

            return run(rows(), LinearBackbone(watch, longer=longer), n_members=4)

        once, on = stages(()), stages((2.0,))
        losses = on.answers[0].trained[0].losses
        assert losses[:N_STEPS] == once.answers[0].trained[0].losses
        assert np.mean(losses[N_STEPS : N_STEPS + 3]) < 0.9 * losses[0]
        assert asked[2.0,] == asked[()]

    def test_a_recipe_says_what_pays(self):
        chosen = run(rows(), LinearBackbone(longer=(2.0,), worth_longer=1e6), n_members=4)
        assert taken(chosen) == N_STEPS

    @pytest.mark.parametrize("params", [{"objective": "short"}, {"n_context": 40}])
    def test_a_short_context_has_more_steps_from_the_beginning(self, params: dict):
        chosen = run(rows(), LinearBackbone(longer=(2.0,)), n_members=4, **params)
        assert taken(chosen) == taken(run(rows(), LinearBackbone(), n_members=4, **params))

    @pytest.mark.parametrize("params", [{"n_steps": 8}, {"guard": False}, {"n_steps": 1}])
    def test_a_number_of_steps_is_taken_as_it_is_and_without_a_guard_nothing_is_known(self, params: dict):
        chosen = run(rows(), LinearBackbone(longer=(2.0, 4.0)), n_members=4, **params)
        assert taken(chosen) == params.get("n_steps", N_STEPS)

    def test_all_work_is_planned_and_done(self):
        from tests.support.tables import fitted, linear_table

        work = Told()
        fitted(LinearBackbone(longer=(2.0,)), *linear_table(), n_members=4, work=work)
        assert len(work.planned) == 2
        assert sum(work.did) == sum(work.planned)
        assert "adapting further" in work.said


class TestWhatMayHappen:
    def test_losses_that_are_no_numbers_leave_the_stage_before(self, monkeypatch: pytest.MonkeyPatch):
        """Every learner of the second stage is broken."""
        run_once, stages = FoldRuns.run, []

        def breaks(runs, config, before=()):
            stages.append(config)
            broken = replace(runs, backbone=FaultyBackbone(runs.backbone, "loss", 2))
            return run_once(broken if before else runs, config, before)

        once = run(rows(), LinearBackbone(), n_members=4)
        monkeypatch.setattr(FoldRuns, "run", breaks)
        chosen = run(rows(), LinearBackbone(longer=(2.0, 4.0)), n_members=4)
        assert len(stages) == 2
        assert chosen.status is Status.KEPT
        assert (chosen.n_steps, chosen.mix) == (once.n_steps, once.mix)
        assert f"More than {once.n_steps} steps led to losses that are no numbers." in chosen.notes

    def test_the_time_limit_ends_it_and_says_so(self):
        def spent(seconds: float | None, longer: tuple[float, ...]) -> tuple[float, Chosen]:
            clock = Clock()
            backbone = LinearBackbone(
                lambda what, weights, context, x: clock.spend(0.0005 * len(context if x is None else x)),
                longer=longer,
            )
            before = clock.now
            chosen = run(rows(400), backbone, budget=Budget(seconds, clock), n_members=4)
            return clock.now - before, chosen

        enough, once = spent(None, ())
        whole, on = spent(None, (8.0,))
        assert taken(on) == 9 * taken(once)
        took, chosen = spent((enough + whole) / 2, (8.0,))
        assert took < (enough + whole) / 2
        assert taken(chosen) == taken(once)
        assert "The time limit ended training while more steps still paid." in chosen.notes
        assert chosen.status is Status.KEPT


class TestTrained:
    def test_a_step_that_asked_nothing_counts_in_the_numbers_of_steps(self):
        """It is not among the losses; the snapshots are named by the steps that were done."""
        first = Trained({5: {}, 10: {}}, (1.0,) * 9, 9, finite=True, n_trainable=3, seconds=1.0)
        later = Trained({10: {}, 20: {}}, (0.5,) * 20, 20, finite=True, n_trainable=3, seconds=2.0)
        both = first.then(later)
        assert sorted(both.snapshots) == [5, 10, 20, 30]
        assert (both.n_steps, len(both.losses), both.seconds) == (29, 29, 3.0)
        assert both.last is later.snapshots[20]
        assert not first.then(Trained({}, (), 0, finite=False, n_trainable=3)).finite


class TestStalls:
    def test_nothing_follows_a_stage_that_time_ended(self, monkeypatch: pytest.MonkeyPatch):
        """A process that was stopped for a while: one adapter has other snapshots than the rest."""
        run_once, stages = FoldRuns.run, []

        def stalls(runs, config, before=()):
            stages.append(config)
            first, *rest = run_once(runs, config, before)
            early = replace(first.trained[0], out_of_time=True)
            return [replace(first, trained=(early, *first.trained[1:])), *rest]

        monkeypatch.setattr(FoldRuns, "run", stalls)
        chosen = run(rows(400), LinearBackbone(longer=(2.0,)), n_members=8)
        assert len(stages) == 1
        assert chosen.status is Status.KEPT

    def test_answers_that_are_no_numbers_leave_the_stage_before(self, monkeypatch: pytest.MonkeyPatch):
        """Losses can be finite where answers are not."""
        run_once = FoldRuns.run

        def breaks(runs, config, before=()):
            found = run_once(runs, config, before)
            return (
                [replace(one, adapted={n: a * np.nan for n, a in one.adapted.items()}) for one in found]
                if before
                else found
            )

        once = run(rows(), LinearBackbone(), n_members=4)
        monkeypatch.setattr(FoldRuns, "run", breaks)
        chosen = run(rows(), LinearBackbone(longer=(2.0,)), n_members=4)
        assert (chosen.status, chosen.n_steps, chosen.mix) == (Status.KEPT, once.n_steps, once.mix)
        assert any("no numbers" in note for note in chosen.notes)
