"""Training on many tasks in one pass against training on each alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testtime.adapt.budget import Budget
from testtime.adapt.delta import DeltaSpec
from testtime.adapt.learner import Rows
from testtime.adapt.train import TrainConfig, train
from testtime.adapt.train_each import train_each
from testtime.errors import InputError
from testtime.experiments.in_context.learner import GPTLearner
from testtime.models.gpt import GPTConfig, InContextGPT

N_TASKS, N_ROWS, DIM = 5, 24, 3


def learner(layout: str = "order-free") -> GPTLearner:
    torch.manual_seed(0)
    shape = GPTConfig(dim=DIM, width=16, n_layer=2, n_head=2, layout=layout, max_rows=32)
    return GPTLearner(InContextGPT(shape).double())


def tables() -> list[Rows]:
    generator = torch.Generator().manual_seed(1)
    draw = [torch.randn(N_ROWS, DIM + 1, generator=generator, dtype=torch.float64) for _ in range(N_TASKS)]
    return [Rows(one[:, :DIM], one[:, DIM]) for one in draw]


def seeds() -> list[np.random.SeedSequence]:
    return [np.random.SeedSequence(7, spawn_key=(b,)) for b in range(N_TASKS)]


POOLS = [np.arange(N_ROWS)[b % 2 :: 2] for b in range(N_TASKS)]


@pytest.mark.parametrize("layout", ["order-free", "interleaved"])
@pytest.mark.parametrize("kind", ["lora", "all", "head"])
def test_it_equals_the_loop(kind: str, layout: str):
    config = TrainConfig(6, 6, 5, learning_rate=1e-2, spec=DeltaSpec(kind, rank=2), snapshots=(4,), clip=0.1)
    model = learner(layout)
    together = train_each(model, tables(), POOLS, config, seeds())
    for rows, pool, seed, one in zip(tables(), POOLS, seeds(), together, strict=True):
        alone = train(model, rows, pool, config, seed)
        np.testing.assert_allclose(one.losses, alone.losses, rtol=0, atol=1e-9)
        assert one.snapshots.keys() == alone.snapshots.keys() == {4, 6}
        assert (one.n_steps, one.n_trainable, one.finite) == (6, alone.n_trainable, True)
        for step, state in alone.snapshots.items():
            for key, value in state.items():
                torch.testing.assert_close(one.snapshots[step][key], value, rtol=0, atol=1e-8)


def test_tasks_do_not_touch_each_other():
    """A task's result does not depend on who else is there, even if the other's rows are no numbers."""
    config = TrainConfig(6, 6, 5, learning_rate=1e-2, spec=DeltaSpec("lora", rank=2))
    broken = tables()
    broken[1] = Rows(broken[1].x, broken[1].y * float("nan"))
    sound, beside = (train_each(learner(), rows, POOLS, config, seeds()) for rows in (tables(), broken))
    assert not beside[1].finite
    assert beside[1].snapshots == {}
    for b in (0, 2, 3, 4):
        assert beside[b].losses == sound[b].losses
        for key, value in sound[b].snapshots[6].items():
            assert torch.equal(beside[b].snapshots[6][key], value)


def test_the_base_is_not_written():
    model = learner()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    train_each(model, tables(), POOLS, TrainConfig(3, 6, 5, spec=DeltaSpec("all")), seeds())
    assert all(torch.equal(before[name], value) for name, value in model.module.state_dict().items())


def test_the_budget_ends_it():
    times = iter(range(1000))
    budget = Budget(20.0, clock=lambda: float(next(times)))
    trained = train_each(learner(), tables(), POOLS, TrainConfig(50, 6, 5), seeds(), budget=budget)
    assert all(one.out_of_time and 0 < one.n_steps < 20 for one in trained)
    assert all(list(one.snapshots) == [one.n_steps] for one in trained)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"config": TrainConfig(1, 6, 5)}, "n_steps=1.*Call train"),
        ({"pools": [*POOLS[:-1], POOLS[0][:3]]}, "pools of sizes"),
        ({"tables": []}, "0 tables, 5 pools"),
        ({"tables": [Rows(rows.x, rows.y.long()) for rows in tables()]}, "targets are classes"),
    ],
)
def test_bad_input(change, said):
    given = {"tables": tables(), "pools": POOLS, "config": TrainConfig(3, 6, 5), "seeds": seeds()} | change
    with pytest.raises(InputError, match=said):
        train_each(learner(), **given)
