"""Pretraining and the stages: against autograd on the definition, and on tasks whose direction is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testtime.errors import InputError
from testtime.models.softmax_attention import SoftmaxAttention, softmax_attention
from testtime.single_index.joint import joint_training, split_training
from testtime.single_index.pretrain import (
    Prompts,
    draw_prompts,
    pretrain,
    pretrain_family,
    refine_subspace,
    subspace_overlap,
)
from testtime.single_index.strong_recovery import (
    online_sgd,
    polish,
    profile_newton,
    profile_sgd,
    random_network,
)
from testtime.single_index.weak_recovery import KINDS, teacher, weak_recoveries, weak_recovery
from testtime.tasks.single_index import SingleIndexFamily


def cubic(z: np.ndarray) -> np.ndarray:
    return (z**3 - 3 * z) / np.sqrt(6) + 0.3 * (z**4 - 6 * z**2 + 3) / np.sqrt(24)


def unit(rng: np.random.Generator, dim: int) -> np.ndarray:
    u = rng.standard_normal(dim)
    return u / np.linalg.norm(u)


def task(seed: int, dim: int, n_rows: int, link=cubic) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, dim, n_rows])
    beta, X = unit(rng, dim), rng.standard_normal((n_rows, dim))
    return X, link(X @ beta) + 0.1 * rng.choice([-1.0, 1.0], n_rows), beta


@pytest.fixture(scope="module")
def family() -> SingleIndexFamily:
    return SingleIndexFamily.create(dim=8, rank=3, seed=11)


def test_the_step_is_the_gradient_of_the_prompt_loss() -> None:
    """Autograd on the literal definition: small read-out, one step from the start, one query per prompt."""
    rng = np.random.default_rng(0)
    batch = Prompts(
        rng.standard_normal((6, 20, 3)),
        rng.standard_normal((6, 20)),
        rng.standard_normal((6, 1, 3)),
        rng.standard_normal((6, 1)),
    )
    found = pretrain([batch], rank=2, recipe="paper")
    keys, labels, queries, targets = (torch.as_tensor(part) for part in batch)
    model = SoftmaxAttention(
        3,
        2,
        gamma=torch.eye(3, dtype=torch.float64) / 3**0.5,
        temperature=4.0,
        clip=float("inf"),
        output_scale=1e-6,
    )
    with torch.no_grad():
        model.inner_M.copy_(torch.tensor([1.0, -1.0]))
    loss = (model(keys, labels, queries) - targets).square().mean() / 2
    loss.backward(inputs=[model.gamma_DD])
    expected = -model.gamma_DD.grad.numpy() / 1e-6
    np.testing.assert_allclose(found.step, expected, rtol=1e-4, atol=1e-6)


def test_pretraining_finds_the_subspace_where_the_literal_step_does_not(family: SingleIndexFamily) -> None:
    practical = pretrain_family(family, n_prompts=2000, seed=1)
    literal = pretrain_family(family, n_prompts=2000, seed=1, recipe="paper")
    assert subspace_overlap(practical.subspace, family.subspace) > 0.98
    assert subspace_overlap(literal.subspace, family.subspace) < 0.9
    assert np.trace(practical.gamma) / 3 == pytest.approx(0.35)
    assert practical.spectrum[2] > 4 * abs(practical.spectrum[3])


def test_a_step_of_negative_sign_is_turned(family: SingleIndexFamily) -> None:
    batches = list(draw_prompts(family, n_prompts=500, seed=2))
    turned = [batch._replace(query_labels=-batch.query_labels) for batch in batches]
    plus, minus = pretrain(batches, rank=3), pretrain(turned, rank=3)
    assert (plus.sign, minus.sign) == (1, -1)
    np.testing.assert_allclose(plus.gamma, minus.gamma, atol=1e-6)


def test_refining_removes_most_of_the_error(family: SingleIndexFamily) -> None:
    before = pretrain_family(family, n_prompts=1000, seed=3)
    after = refine_subspace(next(draw_prompts(family, n_prompts=30, batch=30, n_context=150, seed=4)), before)
    lost = [1 - subspace_overlap(found.subspace, family.subspace) for found in (before, after)]
    assert lost[1] < 0.02 * lost[0]


def test_pretraining_refuses_what_it_cannot_use(family: SingleIndexFamily) -> None:
    batches = list(draw_prompts(family, n_prompts=10, n_context=20, seed=0))
    with pytest.raises(InputError, match="rank=9 with inputs of dimension 8"):
        pretrain(batches, rank=9)
    with pytest.raises(InputError, match="no prompts"):
        pretrain([], rank=2)
    with pytest.raises(InputError, match="recipe='papr'"):
        pretrain(batches, rank=2, recipe="papr")
    constant = [batch._replace(context_labels=0 * batch.context_labels) for batch in batches]
    with pytest.raises(InputError, match="vanished"):
        pretrain(constant, rank=2)
    with pytest.raises(InputError, match="could be solved"):
        refine_subspace(batches[0], pretrain(batches, rank=3), largest_error=-1.0)


def test_the_relu_student_is_one_gradient_step_of_the_network() -> None:
    X, y, _ = task(0, 4, 60)
    start = unit(np.random.default_rng(1), 4)
    found = weak_recovery(X, y, np.eye(4), kind="labels", start=start, rng=np.random.default_rng(0))
    u = torch.tensor(start, requires_grad=True)
    labels = torch.as_tensor(y - y.mean())
    loss = (1e-6 * torch.relu(torch.as_tensor(X) @ u) - labels).square().mean() / 2
    loss.backward()
    step = -u.grad.numpy()
    assert found.direction @ step / np.linalg.norm(step) == pytest.approx(1.0, abs=1e-8)


def test_the_attention_student_is_one_gradient_step_on_the_lora_vector() -> None:
    X, y, _ = task(1, 3, 40)
    start = unit(np.random.default_rng(2), 3)
    gamma = 0.35 * np.eye(3)
    found = weak_recovery(X, y, gamma, kind="attention-labels", start=start, rng=np.random.default_rng(0))
    u = torch.tensor(start, requires_grad=True)
    rows = torch.as_tensor(X)[None]
    read = softmax_attention(rows, torch.as_tensor(y)[None], rows, torch.as_tensor(gamma) + torch.outer(u, u))
    (read.label[0] * torch.as_tensor(y - y.mean())).sum().backward()  # the loss of a small read-out, negated
    step = u.grad.numpy()
    assert found.direction @ step / np.linalg.norm(step) == pytest.approx(1.0, abs=1e-5)


def test_distillation_beats_the_labels_and_the_gap_is_large_at_sixteen_dimensions() -> None:
    overlap = {"distill": [], "labels": [], "distill-multi": []}
    for seed in range(6):
        X, y, beta = task(seed, 16, 2048)
        for kind, values in overlap.items():
            found = weak_recovery(X, y, 0.35 * np.eye(16), kind=kind, rng=np.random.default_rng(seed))
            values.append(abs(found.direction @ beta))
    assert np.mean(overlap["distill"]) > 0.85
    assert np.mean(overlap["distill"]) > np.mean(overlap["labels"]) + 0.25
    assert np.mean(overlap["distill-multi"]) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_every_student_returns_ranked_unit_directions_inside_the_projector(kind: str) -> None:
    X, y, _ = task(3, 5, 80)
    projector = np.diag([1.0, 1.0, 1.0, 0.0, 0.0])
    found = weak_recovery(
        X, y, 0.35 * projector, kind=kind, projector=projector, n_queries=300, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1.0)
    np.testing.assert_allclose(found.directions[:, 3:], 0.0, atol=1e-12)
    assert np.all(np.diff(found.held_out_errors) >= 0)
    assert len(found.kinds) == len(found.directions)
    assert found.n_queries == (0 if kind in ("labels", "attention-labels", "random") else 300)


def test_a_constant_teacher_falls_back_to_a_random_direction() -> None:
    X, _, _ = task(4, 3, 30)
    found = weak_recovery(X, np.zeros(30), np.eye(3), rng=np.random.default_rng(0))
    assert np.isfinite(found.directions).all()


def test_tasks_together_equal_tasks_alone() -> None:
    tasks = [task(seed, 4, 64) for seed in range(3)]
    X, y = np.stack([t[0] for t in tasks]), np.stack([t[1] for t in tasks])
    together = weak_recoveries(X, y, 0.35 * np.eye(4), rng=np.random.default_rng(5))
    for t in range(3):
        alone = weak_recovery(X[t], y[t], 0.35 * np.eye(4), rng=np.random.default_rng(5))
        np.testing.assert_allclose(np.abs(alone.direction @ together[t].direction), 1.0, atol=1e-5)
    labels = teacher(X, y, X[0], np.eye(4))
    assert labels.shape == (3, 64)


def test_unknown_student_is_named() -> None:
    X, y, _ = task(5, 3, 30)
    with pytest.raises(InputError, match="Did you mean 'distill'"):
        weak_recovery(X, y, np.eye(3), kind="distil", rng=np.random.default_rng(0))


def test_strong_recovery_profile_methods_arrive_and_the_fixed_activation_does_not() -> None:
    overlap: dict[str, list[float]] = {"start": [], "online": [], "sgd": [], "newton": []}
    for seed in range(8):
        X, y, beta = task(seed, 8, 512)
        weak = weak_recovery(X, y, 0.35 * np.eye(8), kind="distill", rng=np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        found = {
            "start": weak.direction,
            "online": online_sgd(X, y, weak.direction, network=random_network(100, rng)).direction,
            "sgd": profile_sgd(X, y, weak.directions, rng=rng).direction,
            "newton": profile_newton(X, y, weak.directions[:, None], n_restarts=0, rng=rng).direction,
        }
        for name, u in found.items():
            overlap[name].append(abs(u @ beta))
            assert np.linalg.norm(u) == pytest.approx(1.0)
    assert np.mean(overlap["sgd"]) > 0.99
    assert np.min(overlap["newton"]) > 0.999
    assert np.mean(overlap["online"]) < np.mean(overlap["start"])


def test_newton_recovers_from_few_rows_without_stage_one() -> None:
    for seed in range(10):
        X, y, beta = task(seed, 4, 32)
        found = profile_newton(X, y, np.empty((0, 1, 4)), rng=np.random.default_rng(0))
        assert abs(found.direction @ beta) > 0.98


def test_a_wiggly_link_raises_the_degree_and_a_cubic_one_does_not() -> None:
    X, y, beta = task(0, 5, 400, link=lambda z: np.sin(3 * z))
    wiggly = profile_newton(X, y, np.empty((0, 1, 5)), rng=np.random.default_rng(0))
    assert wiggly.degree > 5
    assert abs(wiggly.direction @ beta) > 0.999
    X, y, _ = task(0, 5, 400)
    assert profile_newton(X, y, np.empty((0, 1, 5)), rng=np.random.default_rng(0)).degree == 5


def test_polish_leaves_the_subspace_when_the_direction_does() -> None:
    X, y, beta = task(6, 6, 400)
    inside = beta.copy()
    inside[3:] = 0
    inside /= np.linalg.norm(inside)
    assert abs(polish(X, y, inside[None], rank=3).direction @ beta) > 0.999


def test_polish_stays_when_the_subspace_is_right() -> None:
    stays = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((60, 30))
        z = X[:, 0]
        y = cubic(z) + 0.5 * rng.standard_normal(60)
        stays.append(abs(polish(X, y, np.eye(30)[:1], rank=1).direction[0]) == 1.0)
    assert np.mean(stays) > 0.7


def test_joint_training_does_not_beat_the_split() -> None:
    differences = []
    for seed in range(2):
        X, y, beta = task(seed, 4, 128)
        start = weak_recovery(
            X, y, 0.35 * np.eye(4), kind="distill", rng=np.random.default_rng(seed)
        ).direction
        joint, split = (
            joint_training(X, y, start, width=24, n_steps=100),
            split_training(X, y, start, width=32),
        )
        assert joint.losses[-1] < joint.losses[0]
        differences.append(abs(split.direction @ beta) - abs(joint.direction @ beta))
    assert np.min(differences) > -0.005
