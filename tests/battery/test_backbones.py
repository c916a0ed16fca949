"""One battery for every backbone: the embedded model, TabICL, and five versions of TabPFN, for classes and for numbers.

All weights are random and tiny, in the checkpoint formats of their packages.
"""

from __future__ import annotations

import functools
import pickle
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import testtime
from tests.support.foreign import TABPFN, tabicl_checkpoint, tabpfn_checkpoint
from tests.support.models import sha256_of, tiny_backbone, tiny_regressor
from testtime import TTTClassifier, TTTRegressor
from testtime.adapt.delta import KINDS, Delta, DeltaSpec
from testtime.adapt.learner import FROZEN, Learner
from testtime.adapt.task import Classes, Numbers
from testtime.backbones.base import Backbone, Encoded
from testtime.backbones.registry import load_backbone
from testtime.backbones.tabicl_views import random_state_of
from testtime.errors import InputError
from testtime.table.outside import answer_rows

pytestmark = pytest.mark.filterwarnings("ignore")

CPU = torch.device("cpu")
FAMILIES = ("embedded", "tabicl", *(f"tabpfn {version}" for version in TABPFN))
TASKS = ("classifier", "regressor")
N_CONTEXT, N_QUERY, N_COLUMNS = 90, 40, 5
SEED = np.random.SeedSequence(3)


def rows(task: str, *, skewed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Numbers without repeats or gaps, and a target that follows them; for a skewed one, fits try several curves."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_CONTEXT + N_QUERY, N_COLUMNS))
    if task == "classifier":
        return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)
    y = (np.exp if skewed else np.tanh)(x[:, 0]) + x[:, 1]
    return x, (y - y[:N_CONTEXT].mean()) / y[:N_CONTEXT].std()


def encoded(x: np.ndarray) -> Encoded:
    n_columns = x.shape[1]
    return Encoded(x, tuple(f"c{i}" for i in range(n_columns)), ("number",) * n_columns, (0,) * n_columns)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="session")
def name_of(folder: Path) -> Callable[[str, str], Any]:
    """What to pass as ``backbone=``: a name with a file, or the tiny embedded model."""

    @functools.cache
    def name(family: str, task: str) -> Any:
        if family == "embedded":
            return tiny_backbone() if task == "classifier" else tiny_regressor()
        if family == "tabicl":
            return f"tabicl:{tabicl_checkpoint(folder, task)}"
        return f"tabpfn:{tabpfn_checkpoint(folder, family.split()[1], task)}"

    return name


@pytest.fixture(scope="session")
def backbone_of(name_of: Callable[[str, str], Any]) -> Callable[[str, str], Backbone]:
    """The loaded model, with fewer views than its recipe has, since making them is what takes time here."""

    @functools.cache
    def backbone(family: str, task: str) -> Backbone:
        loaded = load_backbone(name_of(family, task), task)
        loaded.recipe = replace(loaded.recipe, n_views=2, guard_views=2)
        return loaded

    return backbone


@pytest.fixture(scope="session")
def plain(backbone_of: Callable[[str, str], Backbone]) -> Callable[[str, str], Any]:
    """An estimator of zero steps, once for each model and task."""
    return functools.cache(lambda family, task: adapted(backbone_of(family, task), task, n_steps=0))


@pytest.fixture(scope="session")
def fitted(backbone_of: Callable[[str, str], Backbone]) -> Callable[[str, str], Any]:
    """An estimator that was adapted by large steps, once for each model and task."""
    return functools.cache(lambda family, task: adapted(backbone_of(family, task), task))


def adapted(name: Any, task: str, *, skewed: bool = False, **arguments: Any) -> Any:
    x, y = rows(task, skewed=skewed)
    settings = {"n_steps": 3, "n_members": 2, "guard": False, "step_size": 0.01, **arguments}
    kind = TTTClassifier if task == "classifier" else TTTRegressor
    return kind(backbone=name, **settings).fit(x[:N_CONTEXT], y[:N_CONTEXT])


def predicted(estimator: Any) -> np.ndarray:
    x, _ = rows("classifier")
    if isinstance(estimator, TTTClassifier):
        return estimator.predict_proba(x[N_CONTEXT:])
    return estimator.predict_quantiles(x[N_CONTEXT:])


def learner_of(backbone: Backbone, task: str, dtype: torch.dtype = torch.float32) -> Learner:
    return backbone.learner(Classes(3) if task == "classifier" else Numbers(), CPU, dtype)


@functools.cache
def views_of(backbone: Backbone, task: str, n: int) -> Any:
    x, y = rows(task)
    kind = Classes(3) if task == "classifier" else Numbers()
    return backbone.views(encoded(x[:N_CONTEXT]), y[:N_CONTEXT], kind, n, SEED)


def frozen_answers(backbone: Backbone, task: str, n: int, dtype: torch.dtype = torch.float32) -> np.ndarray:
    """Mean over views, as a fit of zero steps serves."""
    x, y = rows(task)
    learner = learner_of(backbone, task, dtype)
    context = x[:N_CONTEXT], y[:N_CONTEXT]
    return np.mean(
        [answer_rows(learner, FROZEN, v, context, x[N_CONTEXT:]) for v in views_of(backbone, task, n)], axis=0
    )


every = pytest.mark.parametrize(("family", "task"), [(f, t) for f in FAMILIES for t in TASKS])


class TestZeroStepsAreTheOfficialEstimator:
    """Same views, same probabilities, where the official estimator averages probabilities as this library does."""

    def official(self, package: Any, name: Any, n: int, **arguments: Any) -> Any:
        path = name.partition(":")[2]
        seed = random_state_of(SEED)
        if package.__name__.startswith("TabPFN"):  # on a CPU that has bfloat16 its default is autocast
            arguments["inference_precision"] = torch.float32
        return package(n_estimators=n, model_path=path, device="cpu", random_state=seed, **arguments)

    def test_tabicl_classifier(self, name_of, backbone_of):
        from tabicl import TabICLClassifier

        x, y = rows("classifier")
        official = self.official(TabICLClassifier, name_of("tabicl", "classifier"), 4, average_logits=False)
        expected = official.fit(x[:N_CONTEXT], y[:N_CONTEXT]).predict_proba(x[N_CONTEXT:])
        ours = frozen_answers(backbone_of("tabicl", "classifier"), "classifier", 4)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
        assert np.ptp(expected[:, 0]) > 0.05, "the model does not answer the same to everything"

    def test_tabicl_regressor(self, name_of, backbone_of):
        from tabicl import TabICLRegressor

        x, y = rows("regressor")
        official = self.official(TabICLRegressor, name_of("tabicl", "regressor"), 4)
        official.fit(x[:N_CONTEXT], y[:N_CONTEXT])
        expected = official.predict(x[N_CONTEXT:], output_type="raw_quantiles")
        ours = frozen_answers(backbone_of("tabicl", "regressor"), "regressor", 4)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("version", TABPFN)
    def test_tabpfn_classifier(self, name_of, backbone_of, version: str):
        from tabpfn import TabPFNClassifier

        x, y = rows("classifier")
        name = name_of(f"tabpfn {version}", "classifier")
        official = self.official(TabPFNClassifier, name, 4, average_before_softmax=False)
        expected = official.fit(x[:N_CONTEXT], y[:N_CONTEXT]).predict_proba(x[N_CONTEXT:])
        ours = frozen_answers(backbone_of(f"tabpfn {version}", "classifier"), "classifier", 4)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
        assert np.ptp(expected[:, 0]) > 0.005

    @pytest.mark.parametrize("version", TABPFN)
    def test_tabpfn_regressor(self, name_of, backbone_of, version: str):
        """Our k-th percentile has the official probability k %.

        One view, since the official estimator mixes densities, and this library quantiles.
        """
        from tabpfn import TabPFNRegressor

        x, y = rows("regressor")
        name = name_of(f"tabpfn {version}", "regressor")
        official = self.official(TabPFNRegressor, name, 1).fit(x[:N_CONTEXT], y[:N_CONTEXT])
        full = official.predict(x[N_CONTEXT:], output_type="full")
        ours = frozen_answers(backbone_of(f"tabpfn {version}", "regressor"), "regressor", 1)
        logits, distribution = full["logits"].double(), full["criterion"].double()
        probabilities = distribution.cdf(logits, torch.as_tensor(ours, dtype=torch.float64)).numpy()
        levels = np.broadcast_to(np.arange(1, 100) / 100, ours.shape)
        np.testing.assert_allclose(probabilities, levels, rtol=0, atol=1e-5)
        assert np.ptp(ours[:, 50]) > 0.01


@every
def test_zero_steps_are_repeatable_and_seeded(backbone_of, plain, family: str, task: str):
    served = predicted(plain(family, task))
    again = adapted(backbone_of(family, task), task, n_steps=0)
    assert np.array_equal(served, predicted(again)), "the same seed gives the same bits"
    assert np.isfinite(served).all()
    assert not plain(family, task).adaptation_.kept
    changed = predicted(adapted(backbone_of(family, task), task, n_steps=0, random_state=1))
    assert not np.array_equal(served, changed), "another seed gives other views"


@every
def test_reading_the_context_once_is_the_joint_pass(backbone_of, family: str, task: str):
    """With gradients some models take both together; without, all of them read first."""
    x, y = rows(task)
    backbone = backbone_of(family, task)
    view = views_of(backbone, task, 2)[1]
    learner = learner_of(backbone, task, torch.float64)
    like = next(learner.module.parameters())
    context, query = view.rows(x[:N_CONTEXT], y[:N_CONTEXT], like), view.features(x[N_CONTEXT:], like)
    with torch.no_grad():
        read = learner.read(FROZEN, context)
        whole = learner.predict(FROZEN, read, query)
        pieces = torch.cat([learner.predict(FROZEN, read, piece) for piece in query.split(7)])
    with torch.enable_grad():
        joint = learner.predict(FROZEN, learner.read(FROZEN, context), query)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-8)
    torch.testing.assert_close(joint, whole, rtol=0, atol=1e-8)


@every
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_delta(backbone_of, family: str, task: str, kind: str):
    x, y = rows(task)
    backbone = backbone_of(family, task)
    learner, view = learner_of(backbone, task), views_of(backbone, task, 1)[0]
    if (
        kind == "tail" and "tail" not in learner.parts()
    ):  # a model that is not cut into trunk and tail says so
        with pytest.raises(InputError, match="adapt='tail' matches no weight"):
            Delta(learner, DeltaSpec(kind, rank=2))
        return
    shown = view.rows(x, y, next(learner.module.parameters()))
    delta = Delta(learner, DeltaSpec(kind, rank=2))
    state = {
        key: value.requires_grad_() for key, value in delta.zero(torch.Generator().manual_seed(0)).items()
    }
    weights = delta.weights(state)
    output = learner.predict(weights, learner.read(weights, shown.take(range(60))), shown.x[60:])
    loss = learner.loss(output, shown.y[60:]).mean()
    gradients = torch.autograd.grad(loss, list(state.values()), allow_unused=True)
    moving = [key for key, g in zip(state, gradients, strict=True) if g is not None and bool(g.any())]
    # At zero the first factor of a low-rank change has no gradient; the second has.
    assert moving == [key for key in state if not key.endswith("lora_a")]


@every
def test_a_gradient_is_the_slope(backbone_of, family: str, task: str):
    """Also of what is changed early in the network: nothing on the way is computed with the base's weights."""
    x, y = rows(task)
    backbone = backbone_of(family, task)
    learner, view = learner_of(backbone, task, torch.float64), views_of(backbone, task, 1)[0]
    shown = view.rows(x, y, next(learner.module.parameters()))
    delta = Delta(learner, DeltaSpec("all"))
    zero = delta.zero(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    direction = {k: torch.randn(v.shape, generator=generator, dtype=v.dtype) for k, v in zero.items()}

    def loss(length: torch.Tensor) -> torch.Tensor:
        weights = delta.weights({key: length * direction[key] for key in zero})
        output = learner.predict(weights, learner.read(weights, shown.take(range(60))), shown.x[60:])
        return learner.loss(output, shown.y[60:]).mean()

    # Quantiles of bar distributions have kinks, here about 1e-5 apart: the step is short beside them, which float64
    # allows, and should there be one within the step at one of the points, the others outvote it.
    step, apart = 1e-8, []
    for place in (0.003, 0.01, 0.017):
        at = torch.tensor(place, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(loss(at), at)
        with torch.no_grad():
            difference = (loss(at + step) - loss(at - step)) / (2 * step)
        apart.append(float(abs(slope - difference) / abs(slope)))
    assert np.median(apart) < 1e-4, apart


@every
def test_a_fit_leaves_the_base_alone_and_changes_what_is_served(
    plain, backbone_of, fitted, family: str, task: str
):
    backbone = backbone_of(family, task)
    before = sha256_of(learner_of(backbone, task).module)
    estimator = fitted(family, task)
    assert estimator.adaptation_.kept
    assert len(estimator.adaptation_.losses) == 3
    assert sha256_of(learner_of(backbone, task).module) == before
    assert np.abs(predicted(estimator) - predicted(plain(family, task))).max() > 1e-4


@every
def test_the_same_seed_gives_the_same_adapters(backbone_of, fitted, family: str, task: str):
    again = adapted(backbone_of(family, task), task)
    assert np.array_equal(predicted(again), predicted(fitted(family, task)))


@every
def test_saved_and_loaded_it_predicts_the_same_bits(
    backbone_of, fitted, tmp_path: Path, family: str, task: str
):
    estimator = fitted(family, task)
    estimator.save(tmp_path / "model")
    given = (
        {"backbone": backbone_of(family, task)} if family == "embedded" else {}
    )  # its tiny stand-in has no name
    loaded = testtime.load(tmp_path / "model", **given)
    assert np.array_equal(predicted(loaded), predicted(estimator))
    manifest = (tmp_path / "model" / "manifest.json").read_text()
    assert backbone_of(family, task).licence.split(",")[0] in manifest


@every
def test_pickled_it_predicts_the_same_bits(fitted, family: str, task: str):
    if family == "embedded":
        pytest.skip("pickling its tiny stand-in would bring the real model back")
    estimator = fitted(family, task)
    assert np.array_equal(predicted(pickle.loads(pickle.dumps(estimator))), predicted(estimator))


@every
def test_the_mixture_is_not_worse_than_the_frozen_model_out_of_fold(backbone_of, family: str, task: str):
    estimator = adapted(backbone_of(family, task), task, skewed=True, guard=True, step_size=1e-3)
    record = estimator.adaptation_
    assert record.loss_after <= record.loss_before + 1e-9
    assert sum(member.weight for member in estimator._table.members) == pytest.approx(1.0)
    assert np.isfinite(predicted(estimator)).all()


@every
def test_precision(backbone_of, plain, family: str, task: str):
    """One of the two is taken by itself; the other agrees with it, or is refused where it would be another model."""
    served = plain(family, task)
    if family.startswith("tabpfn"):
        assert served._table.dtype == torch.float32
        with pytest.raises(InputError, match="float64"):
            adapted(backbone_of(family, task), task, n_steps=0, precision="float64")
        return
    other = "float32" if served._table.dtype == torch.float64 else "float64"
    changed = adapted(backbone_of(family, task), task, n_steps=0, precision=other)
    assert changed._table.dtype != served._table.dtype
    np.testing.assert_allclose(predicted(changed), predicted(served), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_time_limit(backbone_of, family: str):
    """The steps end in time. Making views is not bounded; how long it takes is seen on a fit without steps."""
    clock = time.monotonic
    began = clock()
    adapted(backbone_of(family, "classifier"), "classifier", n_steps=0)
    without = clock() - began
    began = clock()
    estimator = adapted(backbone_of(family, "classifier"), "classifier", n_steps=100_000, time_limit=2.0)
    assert clock() - began < 2.0 + 3.0 * without + 1.0
    assert np.isfinite(predicted(estimator)).all()


def test_the_licence_of_weights_that_are_not_ours_is_shown_once(folder: Path):
    pytest.importorskip("tabpfn")
    from testtime.backbones.tabpfn import LicenceNote

    path = tabpfn_checkpoint(folder, "v2.6", "classifier", seed=7)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_backbone(f"tabpfn:{path}", "classifier")
        load_backbone(f"tabpfn:{path}", "classifier")
    notes = [str(item.message) for item in caught if issubclass(item.category, LicenceNote)]
    assert len(notes) == 1
    assert "non-commercial" in notes[0]
