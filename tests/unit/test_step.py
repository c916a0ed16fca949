"""The steps against losses whose gradients, and so whose trajectories, are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.support.models import Clock, LineLearner, line_rows, random_rows, sha256_of, tiny_learner
from testtime.adapt.adapters import AdapterSpec
from testtime.adapt.step import LENGTHS, StepPlan, line_search, train
from testtime.errors import InputError

HEAD = AdapterSpec("head")


def seed(value: int = 0) -> np.random.SeedSequence:
    return np.random.SeedSequence(value)


def weight_of(steps) -> float:
    return float(steps.state["weight:offset"])


@pytest.mark.parametrize("n_steps", [2, 5, 20])
@pytest.mark.parametrize("slope", [2.0, -0.01])
def test_the_rate_decays_linearly(n_steps: int, slope: float):
    """With a constant gradient every step of Adam has the length of its rate: lr (1 + (n-1)/n + ... + 1/n)."""
    plan = StepPlan(n_steps, n_context=4, learning_rate=1e-2, spec=HEAD)
    steps = train(LineLearner(), line_rows([slope] * 30), np.arange(30), plan, seed())
    assert weight_of(steps) == pytest.approx(-math.copysign(1e-2 * (n_steps + 1) / 2, slope), rel=1e-5)
    assert steps.n_steps == n_steps == len(steps.losses)
    assert steps.finite
    assert steps.n_trainable == 1
    assert steps.step_length is None


def test_losses_are_recorded_before_each_step():
    plan = StepPlan(3, n_context=4, learning_rate=0.3, spec=HEAD)
    steps = train(LineLearner(), line_rows([1.0] * 30), np.arange(30), plan, seed())
    np.testing.assert_allclose(steps.losses, [1.0, 1 - 0.3, 1 - 0.3 - 0.2], rtol=1e-5)


def adam_by_hand(gradients: list[float], rate: float, clip: float) -> float:
    """Adam with bias correction, each gradient clipped to length `clip`, the rate decayed linearly."""
    weight = first = second = 0.0
    for t, gradient in enumerate(gradients, start=1):
        gradient *= min(1.0, clip / (abs(gradient) + 1e-6))
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        step = first / (1 - 0.9**t) / (math.sqrt(second / (1 - 0.999**t)) + 1e-8)
        weight -= rate * (1 - (t - 1) / len(gradients)) * step
    return weight


@pytest.mark.parametrize("clip", [1.0, 5.0, 1e6])
def test_gradients_are_clipped(clip: float):
    """The second gradient is a thousand times the first: what Adam makes of it depends on the clip."""
    gradients = [0.7, 700.0, -0.3, 20.0]

    class Scripted(LineLearner):
        def output(self, context, query_x):
            now = gradients[len(self.calls)]
            return super().output(context, torch.full_like(query_x, now))

    plan = StepPlan(4, n_context=4, learning_rate=0.1, clip=clip, spec=HEAD)
    steps = train(Scripted(), line_rows([0.0] * 30), np.arange(30), plan, seed())
    assert weight_of(steps) == pytest.approx(adam_by_hand(gradients, 0.1, clip), rel=1e-6)


@pytest.mark.parametrize("n_steps", [1, 6])
def test_only_the_pool_is_trained_on(n_steps: int):
    learner = LineLearner()
    pool = np.arange(20, 60)
    train(learner, line_rows([1.0] * 80), pool, StepPlan(n_steps, n_context=16, spec=HEAD), seed())
    seen = {row for _, context, query in learner.calls for row in context + query}
    assert seen <= set(pool)
    assert all(len(context) <= 16 for _, context, _ in learner.calls)
    assert all(set(context).isdisjoint(query) for _, context, query in learner.calls)


@pytest.mark.parametrize("n_steps", [1, 4])
@pytest.mark.parametrize("kind", ["encoders", "lora", "all"])
def test_the_seed_decides_every_bit(n_steps: int, kind: str):
    """Also the second time on the same module: an earlier run must leave no trace."""
    learner, rows = tiny_learner(), random_rows(60, 3, 2)
    digest = sha256_of(learner.module)
    plan = StepPlan(n_steps, n_context=16, n_query=16, learning_rate=1e-2, spec=AdapterSpec(kind, rank=2))
    first, again, other = (train(learner, rows, np.arange(60), plan, seed(s)) for s in (1, 1, 2))
    assert set(first.state) == set(again.state)
    assert all(torch.equal(first.state[key], again.state[key]) for key in first.state)
    assert first.losses == again.losses
    assert any(not torch.equal(first.state[key], other.state[key]) for key in first.state)
    assert sha256_of(learner.module) == digest


def test_training_lowers_the_loss_of_a_real_model():
    learner, rows = tiny_learner(), random_rows(200, 3, 2)
    plan = StepPlan(30, n_context=32, n_query=64, learning_rate=1e-2, spec=AdapterSpec("all"))
    losses = train(learner, rows, np.arange(200), plan, seed()).losses
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.05


def test_progress_is_reported_step_by_step():
    seen: list[tuple[int, float]] = []
    plan = StepPlan(3, n_context=4, learning_rate=0.3, spec=HEAD)
    steps = train(
        LineLearner(),
        line_rows([1.0] * 30),
        np.arange(30),
        plan,
        seed(),
        on_step=lambda n, loss: seen.append((n, loss)),
    )
    assert seen == list(enumerate(steps.losses, start=1))


def test_no_step_begins_that_would_end_after_the_deadline():
    """Steps of 2 s and 9 s to go: the fourth ends at 8 s, the fifth would end at 10 s."""
    clock = Clock()
    learner = LineLearner(on_call=lambda n, q: clock.spend(2.0))
    plan = StepPlan(50, n_context=4, spec=HEAD)
    rows = line_rows([1.0] * 30)
    steps = train(learner, rows, np.arange(30), plan, seed(), deadline=clock.now + 9.0, clock=clock)
    assert steps.n_steps == 4
    assert steps.finite
    assert steps.seconds == 8.0


def test_a_deadline_that_has_passed_means_no_step():
    clock = Clock()
    learner = LineLearner(on_call=lambda n, q: clock.spend(2.0))
    plan = StepPlan(5, n_context=4, spec=HEAD)
    rows = line_rows([1.0] * 30)
    steps = train(learner, rows, np.arange(30), plan, seed(), deadline=clock.now - 1, clock=clock)
    assert (steps.n_steps, steps.losses, learner.calls) == (0, (), [])
    assert weight_of(steps) == 0.0


def test_one_step_goes_down_by_the_chosen_length():
    """Loss 1 - w + 50 w^2 has its bottom at w = .01: with a base length of .005, twice the base."""
    learner = LineLearner(curvature=100.0)
    plan = StepPlan(1, n_context=4, learning_rate=0.005, spec=HEAD)
    steps = train(learner, line_rows([-1.0] * 60), np.arange(60), plan, seed())
    assert steps.step_length == 2.0
    assert weight_of(steps) == pytest.approx(0.01, rel=1e-6)
    assert steps.losses == (pytest.approx(1.0),)


def test_one_step_without_a_search_has_the_length_it_is_given():
    learner = LineLearner(curvature=100.0)
    plan = StepPlan(1, n_context=4, learning_rate=0.37, spec=HEAD, line_search=False)
    steps = train(learner, line_rows([-5.0] * 60), np.arange(60), plan, seed())
    assert steps.step_length == 1.0
    assert weight_of(steps) == pytest.approx(0.37, rel=1e-6)


def test_the_direction_of_one_step_is_the_negative_gradient_of_unit_size_per_tensor():
    """The gradient is taken by hand on the only episode there is: all rows in the context, query fixed by the seed."""
    learner, rows = tiny_learner(), random_rows(40, 3, 2)
    plan = StepPlan(
        1, n_context=16, n_query=8, learning_rate=0.01, spec=HEAD, line_search=False, n_gradient_episodes=1
    )
    seen = []
    original = learner.output
    learner.output = lambda context, query_x: seen.append((context, query_x)) or original(context, query_x)
    steps = train(learner, rows, np.arange(40), plan, seed())
    ((context, query_x),) = seen
    target = torch.stack([rows.y[(rows.x == row).all(dim=1)][0] for row in query_x])
    learner.module.requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(original(context, query_x), target)
    weight = dict(learner.module.named_parameters())["icl_predictor.decoder.0.weight"]
    (gradient,) = torch.autograd.grad(loss, weight)
    expected = -0.01 * gradient / gradient.square().mean().sqrt()
    moved = steps.state["icl_predictor.decoder.0.weight:offset"]
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-6)


def search(loss_at, lengths=LENGTHS) -> tuple[float, list[float]]:
    """Run the line search on a function of the length; also return the lengths it tried."""
    learner, tried = LineLearner(), []
    rows = line_rows([1.0] * 6)

    def go(length: float) -> None:
        tried.append(length)
        with torch.no_grad():
            learner.module.weight.fill_(loss_at(length) - 1.0)

    return line_search(learner, rows, np.arange(3), np.arange(3, 6), go, lengths), tried


@pytest.mark.parametrize("bottom", LENGTHS)
def test_the_search_finds_the_bottom_of_a_parabola(bottom: float):
    found, _ = search(lambda length: (length - bottom) ** 2)
    assert found == bottom


@pytest.mark.parametrize("loss_at", [lambda t: t, lambda t: 3.0, lambda t: math.nan if t else 1.0])
def test_the_search_stays_when_nothing_helps(loss_at):
    """Every length hurts, no length changes anything, every length breaks the model."""
    assert search(loss_at)[0] == 0.0


def test_the_search_stops_after_two_rises():
    found, tried = search(lambda length: (length - 0.25) ** 2)
    assert found == 0.25
    assert tried == [0.0, *LENGTHS[:4]]


def test_the_search_stops_where_the_loss_breaks():
    found, tried = search(lambda length: -length if length < 1 else math.inf)
    assert found == 0.5
    assert max(tried) == 1.0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n_steps": 0, "n_context": 4}, "n_steps=0.*at least 1"),
        ({"n_steps": 1, "n_context": 0}, "n_context=0.*at least 1"),
        ({"n_steps": 1, "n_context": 4, "n_query": 0}, "n_query=0"),
        ({"n_steps": 1, "n_context": 4, "n_gradient_episodes": 0}, "n_gradient_episodes=0"),
        ({"n_steps": 1, "n_context": 4, "learning_rate": 0.0}, "step_size=0.0.*positive"),
        ({"n_steps": 1, "n_context": 4, "learning_rate": math.nan}, "step_size=nan"),
        ({"n_steps": 1, "n_context": 4, "learning_rate": math.inf}, "step_size=inf"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(arguments: dict, text: str):
    with pytest.raises(InputError, match=text):
        StepPlan(**arguments)
