r"""A rate for each tensor of an adapter, learned on synthetic tables that are adapted to as served.

``python -m pretraining rates WEIGHTS --config FILE --out FOLDER`` adapts to one table of the prior after the other: a
few adapters, each in its own order of columns, trained by :mod:`testtime.adapt` itself, averaged, and mixed with the
frozen model by the weight that is best. Learned are multiples :math:`r_j` of the rate, one for each tensor (as in
Meta-SGD, Li, Zhou, Chen and Li, 2017, arXiv:1707.09835, which has one for each entry). To first order, with the
gradients of the inner steps held fixed, what a training changes is proportional to the rates, so that

.. math:: \frac{\partial L}{\partial \log r_j} = \langle \nabla_{\delta_j} L, \delta_j \rangle

for the change :math:`\delta_j` of a tensor and the loss :math:`L` on rows that no step has seen: nothing but the result
of a training is needed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabicl._model.tabicl import TabICL
from torch import Tensor

from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import FROZEN, Learner, Rows
from testtime.adapt.mix import fit_mix
from testtime.adapt.task import Classes, Numbers, Task
from testtime.adapt.train import TrainConfig, train
from testtime.adapt.trained import State
from testtime.backbones.embedded import RECIPE
from testtime.backbones.tabicl_learner import TabICLClassifierLearner, TabICLRegressorLearner
from testtime.errors import InputError, sentence

from .evaluate import digest, write_json
from .methods import load_model
from .pool import Pool
from .prior import PriorConfig, sample_batch

LEAST_WEIGHT = 0.25
"""Of the adapters in the loss that is lowered: at a weight of zero, rates would not matter."""

MOST_PULL = 0.05
"""Largest derivative of one table's relative loss that counts: a few clear-cut tables must not decide alone."""

FEWEST_ROWS = 50


@dataclass(frozen=True)
class RatesConfig:
    """How rates are learned.

    Attributes
    ----------
    seed : int
        Determines tables and adapters.
    rows : int
        Rows of a table; three quarters are trained on and are the context, the loss is measured on the rest.
    adapters, steps : int
        Of each table.
    learning_rate : float
        Of the adapters.
    updates, tables : int
        Times that the rates move, and tables whose derivatives are averaged before.
    pace : float
        How far the logarithms of a tensor's and of its module's multiple move at first; falls linearly to zero.
    """

    seed: int = 1
    rows: int = 800
    adapters: int = 3
    steps: int = RECIPE.n_steps
    learning_rate: float = RECIPE.rate("encoders")
    updates: int = 40
    tables: int = 8
    pace: float = 0.1


@dataclass
class Rates:
    """Logarithms of multiples: the sum of a tensor's own and of its module's, moved by Adam.

    Most of what there is to learn is how far a module should move; a number for each module finds it with few tables.
    """

    own: dict[str, float] = field(default_factory=dict)
    moments: dict[str, list[float]] = field(default_factory=dict)
    updates: int = 0

    def of(self, keys: Mapping[str, Any]) -> dict[str, float]:
        """Multiple of the rate by key of a delta."""
        return {key: math.exp(sum(self.own.get(name, 0.0) for name in (key, module_of(key)))) for key in keys}

    def move(self, slopes: Mapping[str, float], pace: float) -> None:
        """Move against mean derivatives."""
        self.updates += 1
        total = dict(slopes)
        for key, slope in slopes.items():
            total[module_of(key)] = total.get(module_of(key), 0.0) + slope
        for name, slope in total.items():
            first, second = self.moments.get(name, (0.0, 0.0))
            self.moments[name] = [0.8 * first + 0.2 * slope, 0.95 * second + 0.05 * slope**2]
            mean = self.moments[name][0] / (1 - 0.8**self.updates)
            size = math.sqrt(self.moments[name][1] / (1 - 0.95**self.updates))
            self.own[name] = self.own.get(name, 0.0) - pace * mean / (size + 1e-8)


@dataclass(frozen=True)
class Adapted:
    """What one table says.

    Attributes
    ----------
    slopes : dict
        Derivative of the relative loss with respect to the logarithm of each tensor's rate.
    gain : float
        By how much the best mixture's loss is below the frozen model's, as a share of it.
    weight : float
        Of the adapters in it.
    """

    slopes: dict[str, float]
    gain: float
    weight: float


def module_of(key: str) -> str:
    """The block, or the attention within it, that a tensor belongs to.

    >>> module_of("col_embedder.tf_col.blocks.0.multihead_attn1.norm1.weight:offset")
    'col_embedder.tf_col.blocks.0.multihead_attn1'
    >>> module_of("row_interactor.tf_row.blocks.1.linear1.bias:offset")
    'row_interactor.tf_row.blocks.1'
    >>> module_of("col_embedder.y_encoder.weight:offset")
    'col_embedder.y_encoder'
    """
    parts = key.split(".")
    depth = 5 if "multihead" in key else 4 if "blocks" in key else 2
    return ".".join(parts[:depth])


def learn_rates(
    weights: Path, prior: PriorConfig, config: RatesConfig, folder: Path, *, pool: Pool | None
) -> dict[str, Any]:
    """Learn rates for weights; a killed run goes on.

    Parameters
    ----------
    weights : Path
        Exported weights or a checkpoint.
    prior : PriorConfig
        Where tables come from; their number of rows is set here.
    config : RatesConfig
    folder : Path
        For ``rates.json``, rewritten after every update.
    pool : Pool, optional

    Returns
    -------
    dict
        As in ``rates.json``: ``rates`` by tensor, and the gains of every update.

    Raises
    ------
    InputError
        Where ``folder`` holds rates of other weights or settings.
    """
    model = load_model(weights).requires_grad_(False)
    about = {"sha256": digest(weights), "settings": {**asdict(config), "prior": asdict(prior)}}
    about = json.loads(json.dumps(about))
    kept = folder / "rates.json"
    data = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if data and data["about"] != about:
        got = f"{kept} holds rates of other weights or settings"
        raise InputError(sentence(got, remedy="Give another --out, or delete it"))
    rates, history = Rates(**data.get("state", {})), data.get("history", [])
    shape = replace(prior, rows=(config.rows, config.rows), context=(0.75, 0.75), cells=1)
    while rates.updates < config.updates:
        found = _some_tables(model, shape, config, rates, pool)
        slopes = {key: float(np.mean([one.slopes[key] for one in found])) for key in found[0].slopes}
        rates.move(slopes, config.pace * (1 - rates.updates / config.updates))
        gains = [one.gain for one in found]
        history.append(
            {
                "tables": len(found),
                "gain": float(np.mean(gains)),
                "median_gain": float(np.median(gains)),
                "weight": float(np.mean([one.weight for one in found])),
            }
        )
        multiples = {key.split(":")[0]: round(value, 4) for key, value in rates.of(slopes).items()}
        data = {"about": about, "rates": multiples, "history": history, "state": asdict(rates)}
        write_json(kept, data)
    return data


def _some_tables(
    model: TabICL, prior: PriorConfig, config: RatesConfig, rates: Rates, pool: Pool | None
) -> list[Adapted]:
    """Adapt to the tables of one update; one without enough rows to measure, or that cannot be trained, is left out."""
    found: list[Adapted] = []
    step = rates.updates * 1000
    while len(found) < config.tables:
        step += 1
        batch = sample_batch(prior, config.seed, step, pool)
        rows = Rows(batch.x[0], batch.y[0])
        outer = batch.n_context + batch.mask[0].nonzero().squeeze(1)
        if len(outer) < FEWEST_ROWS:
            continue
        task: Task = Numbers() if prior.regression else Classes(int(rows.y.max()) + 1)
        n_classes = task.n_classes
        learner = TabICLClassifierLearner(model, n_classes) if n_classes else TabICLRegressorLearner(model)
        one = adapt_to(
            learner, task, rows, batch.n_context, outer, rates, config, config.seed * 1_000_003 + step
        )
        found += [one] if one else []
    return found


def adapt_to(
    learner: Learner,
    task: Task,
    rows: Rows,
    n_context: int,
    outer: Tensor,
    rates: Rates,
    config: RatesConfig,
    seed: int,
) -> Adapted | None:
    """Adapt to one table and differentiate the loss of what is served with respect to the rates.

    Parameters
    ----------
    learner, task
        The model on this table.
    rows
        All rows; the first ``n_context`` are trained on and are the context.
    outer
        Indices of the rows that the loss is measured on.
    rates
        Current rates.
    config, seed
        How, and with which random numbers.

    Returns
    -------
    Adapted or None
        None where training or the loss is not finite.
    """
    delta = Delta(learner, DeltaSpec())
    multiples = rates.of(delta.zero(torch.Generator()))
    n_episode = RECIPE.episode_rows(n_context)
    how = TrainConfig(config.steps, n_episode, learning_rate=config.learning_rate, rates=multiples)
    rng = np.random.default_rng(seed)
    pool, context = np.arange(n_context), torch.arange(n_context)
    states: list[State] = []
    frozen, adapted = [], []
    for one in np.random.SeedSequence(seed).spawn(config.adapters):
        order = torch.as_tensor(rng.permutation(rows.x.shape[1]))
        shuffled = Rows(rows.x[:, order], rows.y)
        trained = train(learner, shuffled, pool, how, one)
        if not trained.finite or not trained.snapshots:
            return None
        last = trained.snapshots[max(trained.snapshots)]
        states.append({key: value.clone().requires_grad_() for key, value in last.items()})
        for weights, answers in ((FROZEN, frozen), (delta.weights(states[-1]), adapted)):
            read = learner.read(weights, shuffled.take(context))
            answers.append(learner.answer(learner.predict(weights, read, shuffled.x[outer])))
    y = rows.y[outer]
    parts = [torch.stack(answers).detach().double().numpy() for answers in (frozen, adapted)]
    mix = fit_mix(task, *parts, y.numpy(), n_views=config.adapters, n_members=config.adapters)
    if not (math.isfinite(mix.loss) and mix.frozen_loss > 0):
        return None
    weight = max(mix.weight, LEAST_WEIGHT)
    served = (1 - weight) * torch.stack(frozen).mean(0) + weight * torch.stack(adapted).mean(0)
    loss = score(task, served, y).mean() / mix.frozen_loss
    tensors = [tensor for state in states for tensor in state.values()]
    gradients = iter(torch.autograd.grad(loss, tensors))
    slopes = dict.fromkeys(states[0], 0.0)
    for state in states:
        for key, value in state.items():
            slopes[key] += float((next(gradients) * value).detach().sum())
    largest = max(map(abs, slopes.values()))
    shrunk = min(1.0, MOST_PULL / largest) if largest else 1.0
    slopes = {key: shrunk * slope for key, slope in slopes.items()}
    return Adapted(slopes, 1 - mix.loss / mix.frozen_loss, mix.weight)


def score(task: Task, answer: Tensor, y: Tensor) -> Tensor:
    """The task's score of answers, differentiable, ``(q, A), (q,) -> (q,)``."""
    if task.n_classes:
        return -answer.gather(1, y[:, None]).squeeze(1).clamp(min=1e-12).log()
    levels = torch.arange(1, answer.shape[1] + 1) / (answer.shape[1] + 1)
    error = y[:, None] - answer
    return 2 * torch.maximum(levels * error, (levels - 1) * error).mean(1)
