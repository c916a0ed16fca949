"""Test-time training of the in-context GPT-2: the learner, contexts, the guard, the schemes of episodes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import FROZEN, Learner, Rows
from testtime.adapt.train import TrainConfig
from testtime.errors import InputError
from testtime.experiments.in_context.adapting import Contexts, Guarded, adapt_each, guard_each, table_of
from testtime.experiments.in_context.learner import GPTLearner
from testtime.experiments.in_context.recipes import Recipe, Steps, TaskLaw, shipped_recipes
from testtime.experiments.in_context.variants import chunk_pass, leave_one_out
from testtime.models.gpt import GPTConfig, InContextGPT

DIM, N = 3, 24


@pytest.fixture(scope="module")
def learner() -> GPTLearner:
    torch.manual_seed(0)
    return GPTLearner(InContextGPT(GPTConfig(dim=DIM, width=16, n_layer=2, n_head=2)))


def linear_tables(count: int, n_rows: int = N) -> list[Rows]:
    rng = np.random.default_rng(0)
    drawn = [(rng.standard_normal((n_rows, DIM)), rng.standard_normal(DIM)) for _ in range(count)]
    return [table_of(X, X @ beta) for X, beta in drawn]


def seeds(count: int) -> list[np.random.SeedSequence]:
    return [np.random.SeedSequence(3, spawn_key=(t,)) for t in range(count)]


def test_it_is_a_learner(learner):
    assert isinstance(learner, Learner)
    rows = linear_tables(1)[0]
    told = learner.predict(FROZEN, learner.read(FROZEN, rows.take([0, 1, 2])), rows.x[3:7])
    assert told.shape == (4, 1)
    assert learner.answer(told) is told
    torch.testing.assert_close(
        learner.loss(torch.tensor([[0.0], [9.0]]), torch.zeros(2)), torch.tensor([0.0, 22.5])
    )


@pytest.mark.parametrize("kind", ["lora", "all", "head", "encoders", "norms"])
def test_a_delta_at_zero_changes_no_bit(learner, kind: str):
    rows = linear_tables(1)[0]
    delta = Delta(learner, DeltaSpec(kind, rank=2))
    weights = delta.weights(delta.zero(torch.Generator().manual_seed(0)))
    context = rows.take(np.arange(10))
    frozen, zero = (learner.predict(w, learner.read(w, context), rows.x[10:]) for w in (FROZEN, weights))
    assert torch.equal(frozen, zero)
    assert not any(name.startswith(("gpt.wte", "gpt.wpe")) for name in delta.names), (
        "positions are never trained"
    )


def test_contexts_are_what_they_say(learner):
    rows = linear_tables(1)[0]
    X = rows.x[-4:].double().numpy()
    contexts = Contexts(full=8, short=5, draws=3)
    direct = learner.predict(FROZEN, rows.take(np.arange(8)), rows.x[-4:])[:, 0].double().numpy()
    np.testing.assert_allclose(contexts.with_full(learner, FROZEN, rows, X), direct, atol=1e-6)
    rng = np.random.default_rng(4)
    each = [
        learner.predict(FROZEN, rows.take(rng.choice(N, 5, replace=False)), rows.x[-4:])[:, 0]
        for _ in range(3)
    ]
    mean = torch.stack(each).mean(0).double().numpy()
    np.testing.assert_allclose(contexts.with_short(learner, FROZEN, rows, X, seed=4), mean, atol=1e-6)
    few = rows.take(np.arange(5))
    np.testing.assert_array_equal(
        contexts.with_short(learner, FROZEN, few, X), contexts.with_full(learner, FROZEN, few, X)
    )


def test_training_learns_a_linear_task(learner):
    tables = linear_tables(3, 120)
    config = TrainConfig(60, 16, 40, learning_rate=1e-2, spec=DeltaSpec("all"))
    pools = [np.arange(100)] * 3
    adapted = adapt_each(learner, tables, config, seeds(3), pools=pools)
    for rows, own in zip(tables, adapted, strict=True):
        context, X, y = rows.take(np.arange(100)), rows.x[100:].double().numpy(), rows.y[100:].numpy()
        errors = [np.mean((Contexts().with_full(learner, w, context, X) - y) ** 2) for w in (FROZEN, own)]
        assert errors[1] < 0.5 * errors[0]


def test_the_guard_is_never_above_the_frozen_model_out_of_fold(learner):
    tables = linear_tables(3, 40)
    noise = [Rows(rows.x, torch.randn(40, generator=torch.Generator().manual_seed(5))) for rows in tables]
    config = TrainConfig(20, 8, 8, learning_rate=3e-2, spec=DeltaSpec("all"))
    contexts = Contexts(full=40, short=8)
    for guarded in guard_each(learner, [*tables, *noise], config, seeds(6), contexts, n_folds=4):
        assert guarded.mix.loss <= guarded.mix.frozen_loss
        assert len(guarded.weights) == 4


def test_what_is_served_is_the_mixture_of_its_parts(learner):
    rows = linear_tables(1, 40)[0]
    config = TrainConfig(10, 8, 8, learning_rate=1e-2, spec=DeltaSpec("lora", rank=2))
    contexts = Contexts(full=40, short=8)
    (guarded,) = guard_each(learner, [rows], config, seeds(1), contexts, n_folds=2)
    X = np.random.default_rng(1).standard_normal((5, DIM))
    frozen = contexts.with_full(learner, FROZEN, rows, X)
    views = (contexts.with_full, contexts.with_short)
    adapted = np.mean([view(learner, own, rows, X) for own in guarded.weights for view in views], axis=0)
    for gain, w in ((0.21, 0.3), (0.19, 0.0), (0.0, 0.0)):
        mix = dataclasses.replace(guarded.mix, weight=0.3, gain=gain, standard_error=0.1)
        one = Guarded(guarded.weights, mix)
        assert one.share == w
        served = one.predict(learner, rows, X, contexts)
        np.testing.assert_allclose(served, (1 - w) * frozen + w * adapted, atol=1e-12)


def test_an_adapter_that_breaks_stays_frozen(learner):
    rows = linear_tables(2)
    broken = Rows(rows[1].x, rows[1].y * float("nan"))
    adapted = adapt_each(learner, [rows[0], broken], TrainConfig(3, 8, 8), seeds(2))
    assert adapted[0]
    assert adapted[1] == FROZEN


def test_leave_one_out_leaves_one_out():
    episode = leave_one_out(np.arange(5, 12), 0, np.random.default_rng(0))
    assert sorted([*episode.context, *episode.query]) == list(range(5, 12))
    assert len(episode.query) == 1


def test_a_pass_along_the_sequence_never_trains_on_a_chunk_before_its_turn():
    draw = chunk_pass(4, 3)
    episodes = [draw(np.arange(16), step, np.random.default_rng(0)) for step in range(9)]
    assert [int(one.query[0]) for one in episodes] == [4, 4, 4, 8, 8, 8, 12, 12, 12]
    assert all((one.context == one.query - 4).all() for one in episodes)


@pytest.mark.parametrize(
    ("width", "n_head"), [(96, 3), (50, 5), (42, 6), (61, 61), (256, 8), (8, 2), (64, 4)]
)
def test_every_recipe_has_a_quick_one(width: int, n_head: int):
    recipe = Recipe(
        "gpt2-links", GPTConfig(dim=16, width=width, n_head=n_head), TaskLaw(rank=16), Steps(rows=64)
    )
    quick = recipe.quick()
    assert quick.model.width == min(width, 64)
    assert quick.model.width % quick.model.n_head == 0
    assert quick.model.n_head <= 4
    assert quick.task.rank == quick.model.dim == 8


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_have_quick_ones(name: str):
    recipe = Recipe.load(name)
    assert recipe.quick().task.rank == min(recipe.task.rank, recipe.quick().model.dim)


@pytest.mark.parametrize(
    ("law", "said"),
    [
        ({"link_centre": (0.0, 1.0)}, "link_centre has 2 entries and link_spread 5"),
        (
            {"link_centre": (), "link_spread": ()},
            "link_centre = \\(\\); expected finite numbers, at least one",
        ),
        ({"link_spread": ()}, "link_spread"),
        ({"link_spread": (0.0, 0.0, 0.0, 0.0, -0.5)}, "not negative"),
        ({"link_centre": (10**400, 0.0, 0.0, 0.0, 0.0)}, "link_centre = .*expected finite numbers"),
        ({"noise": 10**400}, "noise = .*expected a finite number"),
    ],
)
def test_links_that_cannot_be_drawn_are_refused(law: dict, said: str):
    with pytest.raises(InputError, match=said) as caught:
        Recipe("gpt2-links", GPTConfig(dim=6), TaskLaw(**law))
    assert len(str(caught.value)) < 300
