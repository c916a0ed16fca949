"""Steps of training on a learner of one weight, whose losses and gradients are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.faults import Faulty
from tests.support.line import Clock, LineLearner, line_rows
from tests.support.models import random_rows, sha256_of, tiny_learner
from testtime.adapt.budget import Budget
from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import FROZEN, Rows, predict_rows
from testtime.adapt.train import LENGTHS, TrainConfig, class_codes, line_search, train
from testtime.adapt.trained import Trained
from testtime.errors import InputError

HEAD = DeltaSpec("head")
KEY = "weight:offset"


def seed(number: int = 0) -> np.random.SeedSequence:
    return np.random.SeedSequence(number)


def config(n_steps: int, **changes) -> TrainConfig:
    return TrainConfig(
        n_steps, **({"n_context": 10, "n_query": 10, "learning_rate": 0.1, "spec": HEAD} | changes)
    )


def run(learner, n_steps: int, slopes=(2.0,) * 60, pool=None, **changes) -> Trained:
    rows = line_rows(slopes)
    pool = np.arange(len(rows)) if pool is None else pool
    budget = changes.pop("budget", None)
    return train(learner, rows, pool, config(n_steps, **changes), seed(), budget=budget)


class TestManySteps:
    def test_the_losses_and_the_weight_are_those_of_adam_on_a_line(self):
        """A constant gradient, whatever its size, moves Adam by its rate, which decays from .1 to zero."""
        trained = run(LineLearner(), 4, snapshots=(1, 2))
        moves = [0.1, 0.075, 0.05, 0.025]
        reached = -np.cumsum(moves)
        assert sorted(trained.snapshots) == [1, 2, 4]
        for step, state in trained.snapshots.items():
            assert state[KEY].item() == pytest.approx(reached[step - 1], rel=1e-6)
        weights = np.concatenate([[0.0], reached[:-1]])
        assert trained.losses == pytest.approx(1 + 2 * weights, rel=1e-6)
        assert (trained.n_steps, trained.finite, trained.out_of_time) == (4, True, False)
        assert (trained.n_trainable, trained.step_length) == (1, None)

    def test_snapshots_have_memory_of_their_own(self):
        states = run(LineLearner(), 4, snapshots=(1, 2, 3)).snapshots
        assert len({state[KEY].data_ptr() for state in states.values()}) == 4
        assert len({state[KEY].item() for state in states.values()}) == 4
        assert not any(state[KEY].requires_grad for state in states.values())

    def test_a_minimum_is_found(self):
        """1 + 2 w + 4 w^2 / 2 is smallest at -1/2."""
        trained = run(LineLearner(curvature=4.0), 300)
        assert trained.snapshots[300][KEY].item() == pytest.approx(-0.5, abs=1e-2)

    def test_the_gradient_is_clipped_to_its_norm(self):
        """Beside a first step of slope 1000 and a clip of 1, a second of slope 1 counts as much."""

        def third(clip: float) -> float:
            learner = LineLearner(curvature=1e4)
            return run(learner, 3, clip=clip).snapshots[3][KEY].item()

        assert third(1e-3) != pytest.approx(third(1e9), rel=1e-3)

    @pytest.mark.parametrize(
        ("rates", "factor"), [({"weight": 0.5}, 0.5), ({"w": 3.0, "weight:": 0.25}, 0.25), ({"x": 9.0}, 1.0)]
    )
    def test_a_tensor_has_the_rate_of_its_longest_prefix(self, rates: dict[str, float], factor: float):
        moved = run(LineLearner(), 2, rates=rates).snapshots[2][KEY].item()
        assert moved == pytest.approx(-factor * (0.1 + 0.05), rel=1e-6)

    def test_only_rows_of_the_pool_are_seen(self):
        learner = LineLearner()
        pool = np.arange(7, 40, 3)
        run(learner, 20, pool=pool)
        assert learner.trained_on == set(pool)

    def test_an_episode_has_the_sizes_asked_for_and_no_row_twice(self):
        learner = LineLearner()
        run(learner, 6, n_context=12, n_query=5)
        for trains, context, query in learner.calls:
            assert trains
            assert (len(context), len(query)) == (12, 5)
            assert len({*context, *query}) == 17

    @pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
    def test_the_context_that_is_served_is_that_of_a_share_of_the_episodes(self, share: float):
        learner, served, pool = LineLearner(), np.arange(4, 12), np.arange(20, 60)
        given = config(200, served_share=share)
        train(learner, line_rows([2.0] * 60), pool, given, seed(), served=served)
        assert len(learner.calls) == 200
        with_it = [list(context) == served.tolist() for _, context, _ in learner.calls]
        assert np.mean(with_it) == pytest.approx(share, abs=0.1)
        for known, (_, context, query) in zip(with_it, learner.calls, strict=True):
            assert known or set(context) <= set(pool.tolist())
            assert set(query) <= set(pool.tolist())

    def test_the_length_of_one_step_is_chosen_with_the_context_that_is_served(self):
        learner, served, pool = LineLearner(), np.arange(4, 12), np.arange(20, 60)
        train(learner, line_rows([2.0] * 60), pool, config(1), seed(), served=served)
        searched = [context for trains, context, _ in learner.calls if not trains]
        assert len(searched) >= 3
        assert all(list(context) == served.tolist() for context in searched)

    def test_of_a_long_served_context_an_episode_has_a_draw(self):
        learner, served = LineLearner(), np.arange(40)
        given = config(6, served_share=1.0)
        train(learner, line_rows([2.0] * 60), np.arange(40, 60), given, seed(), served=served)
        contexts = [frozenset(context) for _, context, _ in learner.calls]
        assert all(len(context) == 10 and context <= set(served.tolist()) for context in contexts)
        assert len(set(contexts)) == 6

    def test_training_can_go_on_from_a_state(self):
        rows = line_rows([2.0] * 60)
        begin = {KEY: torch.tensor([5.0], dtype=torch.float64)}
        trained = train(LineLearner(), rows, np.arange(60), config(1, line_search=False), seed(), start=begin)
        assert trained.snapshots[1][KEY].item() == pytest.approx(4.9)
        assert begin[KEY].item() == 5.0, "the state given is left as it is"

    def test_every_step_is_told(self):
        told = []
        train(
            LineLearner(),
            line_rows([2.0] * 40),
            np.arange(40),
            config(3),
            seed(),
            on_step=lambda *a: told.append(a),
        )
        assert [step for step, _ in told] == [1, 2, 3]
        assert told[0][1] == 1.0

    @pytest.mark.parametrize("number", [0, 1])
    def test_the_seed_decides(self, number: int):
        rows = random_rows(60, 3, 2)

        def state(n: int) -> dict[str, torch.Tensor]:
            return train(
                tiny_learner(), rows, np.arange(60), config(3, spec=DeltaSpec("lora", 2)), seed(n)
            ).snapshots[3]

        one, again, other = state(number), state(number), state(number + 7)
        assert all(torch.equal(one[key], again[key]) for key in one)
        assert not all(torch.equal(one[key], other[key]) for key in one)

    def test_it_trains_inside_no_grad(self):
        with torch.no_grad():
            inside = run(LineLearner(), 3).snapshots[3][KEY].item()
        assert inside == run(LineLearner(), 3).snapshots[3][KEY].item()


class TestTime:
    def slow(self, seconds: float) -> tuple[Clock, LineLearner]:
        clock = Clock()
        return clock, LineLearner(on_call=lambda n_context, n_query: clock.spend(seconds))

    @pytest.mark.parametrize(("limit", "steps"), [(0.5, 1), (3.2, 3), (4.0, 4), (99.0, 10)])
    def test_no_step_begins_that_would_not_end(self, limit: float, steps: int):
        """The first one is tried, since nothing is known about its length."""
        clock, learner = self.slow(1.0)
        trained = run(learner, 10, budget=Budget(limit, clock))
        assert trained.n_steps == steps
        assert trained.out_of_time == (steps < 10)
        assert sorted(trained.snapshots) == [steps]
        assert trained.seconds == steps

    def test_without_time_nothing_is_done(self):
        clock, learner = self.slow(1.0)
        budget = Budget(1.0, clock)
        clock.spend(2.0)
        trained = run(learner, 10, budget=budget)
        assert (trained.n_steps, trained.snapshots, trained.out_of_time) == (0, {}, True)

    def test_one_step_leaves_half_of_the_time_for_its_length(self):
        clock, learner = self.slow(1.0)
        trained = run(learner, 1, n_gradient_episodes=100, budget=Budget(20.0, clock))
        assert trained.out_of_time
        assert trained.seconds <= 20.0
        assert trained.step_length is not None
        assert trained.step_length > 0

    def test_it_stops_when_told_to(self):
        budget = Budget()
        learner = LineLearner(on_call=lambda *sizes: budget.stop() if len(learner.calls) == 3 else None)
        assert run(learner, 10, budget=budget).n_steps == 3


class TestOneStep:
    def test_it_moves_against_the_slope_by_the_searched_length(self):
        """1 - 2 w + w^2 is smallest at 1, ten base steps of .1; 8 is the nearest length that is tried."""
        trained = run(LineLearner(curvature=2.0), 1, slopes=[-2.0] * 60)
        assert trained.step_length == 8.0
        assert trained.snapshots[1][KEY].item() == pytest.approx(0.8)
        assert trained.losses == (1.0,)

    def test_zero_is_a_length(self):
        """Every held-out loss rises in either direction: curvature without slope on average."""
        slopes = np.tile([2.0, -2.0], 60)
        trained = run(LineLearner(curvature=1e6), 1, slopes=slopes)
        assert trained.step_length == 0.0
        assert trained.snapshots[1][KEY].item() == 0.0

    def test_without_a_search_the_length_is_as_given(self):
        learner = LineLearner()
        trained = run(learner, 1, line_search=False, learning_rate=0.25)
        assert trained.snapshots[1][KEY].item() == pytest.approx(-0.25)
        assert all(trains for trains, _, _ in learner.calls)

    def test_the_rows_that_choose_the_length_are_not_trained_on(self):
        learner = LineLearner()
        run(learner, 1)
        searched = {row for trains, _, query in learner.calls if not trains for row in query}
        contexts = {row for trains, context, _ in learner.calls if not trains for row in context}
        assert len(searched) == 20
        assert searched.isdisjoint(learner.trained_on)
        assert searched.isdisjoint(contexts)

    def test_gradients_of_several_episodes_are_averaged(self):
        learner = LineLearner()
        trained = run(learner, 1, n_gradient_episodes=3)
        assert sum(trains for trains, _, _ in learner.calls) == 3
        assert trained.n_steps == 1


class TestLineSearch:
    def search(self, learner: LineLearner, slope: float, **more) -> float:
        rows = line_rows([slope] * 20)

        def weights_at(length: float) -> dict[str, torch.Tensor]:
            return {"weight": torch.tensor([0.1 * length], dtype=torch.float64)}

        return line_search(learner, rows.take(range(10)), rows.take(range(10, 20)), weights_at, **more)

    @pytest.mark.parametrize("best", LENGTHS)
    def test_the_best_length_is_found(self, best: float):
        """1 + s w + 10 w^2 / 2 with s = -best is smallest after exactly that many multiples of .1."""
        assert self.search(LineLearner(curvature=10.0), -best) == best

    def test_uphill_it_stays(self):
        learner = LineLearner()
        assert self.search(learner, 1.0) == 0.0
        assert len(learner.calls) == 3, "zero and two rises"

    def test_a_loss_that_is_no_number_ends_it(self):
        learner = LineLearner(curvature=float("nan"))
        assert self.search(learner, -1.0) == 0.0
        assert len(learner.calls) == 1

    def test_it_ends_in_time(self):
        clock = Clock()
        learner = LineLearner(on_call=lambda *sizes: clock.spend(1.0))
        assert self.search(learner, -1.0, budget=Budget(3.5, clock)) == LENGTHS[1]
        assert len(learner.calls) == 3


class TestThingsThatBreak:
    @pytest.mark.parametrize("fault", ["loss", "gradient"])
    @pytest.mark.parametrize("at", range(4))
    def test_training_stops_before_the_bad_step(self, fault: str, at: int):
        """What comes back is what a run that was asked for no more leaves."""
        trained = run(Faulty(LineLearner(), fault, at), 4, snapshots=(1, 2, 3))
        healthy = run(LineLearner(), 4, snapshots=(1, 2, 3))
        assert not trained.finite
        assert trained.n_steps == at == len(trained.losses)
        assert trained.losses == healthy.losses[:at]
        assert sorted(trained.snapshots) == list(range(1, at + 1))
        assert all(torch.equal(s[KEY], healthy.snapshots[n][KEY]) for n, s in trained.snapshots.items())

    @pytest.mark.parametrize("fault", ["loss", "gradient"])
    def test_one_step_with_a_bad_gradient_is_not_taken(self, fault: str):
        trained = run(Faulty(LineLearner(), fault, 1), 1)
        assert (trained.finite, trained.snapshots, trained.n_steps) == (False, {}, 0)

    def test_an_exception_passes_and_leaves_the_module(self):
        learner = tiny_learner()
        before = sha256_of(learner.module)
        with pytest.raises(KeyboardInterrupt):
            train(
                Faulty(learner, KeyboardInterrupt(), 2),
                random_rows(60, 3, 2),
                np.arange(60),
                config(5),
                seed(),
            )
        assert sha256_of(learner.module) == before

    def test_classes_that_a_context_never_shows_are_no_step(self):
        """Two classes of one row in the pool each; a context of one row shows one of them, never the queried one."""
        rows = Rows(torch.zeros(2, 3), torch.tensor([0, 1]))
        trained = train(tiny_learner(), rows, np.arange(2), config(3, n_context=1), seed())
        assert (trained.n_steps, trained.snapshots, trained.finite) == (0, {}, True)


@pytest.mark.parametrize("kind", ["encoders", "lora", "norms", "tail", "head", "all"])
@pytest.mark.parametrize("n_steps", [1, 3])
def test_every_kind_lowers_the_loss_of_a_real_model_and_leaves_its_base(kind: str, n_steps: int):
    learner, rows = tiny_learner(), random_rows(300, 3, 2)
    before = sha256_of(learner.module)
    spec = DeltaSpec(kind, rank=2)
    trained = train(
        learner, rows, np.arange(200), config(8 * n_steps - 7, learning_rate=0.02, spec=spec), seed()
    )
    assert sha256_of(learner.module) == before
    assert not any(p.requires_grad for p in learner.module.parameters())
    (state,) = trained.snapshots.values()
    delta = Delta(learner, spec)
    assert trained.n_trainable == sum(value.numel() for value in state.values())

    def loss(weights) -> float:
        read = learner.read(weights, rows.take(range(100)))
        out = predict_rows(learner, weights, read, rows.x[100:200])
        return float(learner.loss(out, rows.y[100:200]).mean())

    with torch.no_grad():
        assert loss(delta.weights(state)) < loss(FROZEN)


def test_class_codes_are_of_classes_only():
    assert class_codes(line_rows([1.0])) is None
    assert class_codes(Rows(torch.zeros(2, 1), torch.tensor([1, 0]))).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n_steps": 0}, "n_steps=0"),
        ({"n_context": 0}, "n_context=0"),
        ({"n_query": -1}, "n_query=-1"),
        ({"n_gradient_episodes": 0}, "n_gradient_episodes=0"),
        ({"learning_rate": 0.0}, "step_size=0.0"),
        ({"learning_rate": float("nan")}, "step_size=nan"),
        ({"learning_rate": float("inf")}, "step_size=inf"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict, says: str):
    with pytest.raises(InputError, match=says):
        TrainConfig(**({"n_steps": 2, "n_context": 4} | changes))
