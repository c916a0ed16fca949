"""The linear part of a target is looked for on every scale, also where the model alone does better on another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.line import Clock
from tests.support.tables import fitted
from testtime import TTTRegressor, load
from testtime.adapt.budget import Budget
from testtime.backbones.base import Encoded
from testtime.backbones.embedded import load_embedded
from testtime.backbones.scaling import TargetScaler
from testtime.table import choose_linear, reading
from testtime.table.encoding import EncodedRows
from testtime.table.target import NumericTarget
from testtime.table.target_curve import Curve, Logarithm, Ranks


def products(n: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A target that is a product of a price, a number and the effects of two columns."""
    rng = np.random.default_rng(seed)
    effects = np.random.default_rng(1).normal(0, 0.5, (2, 10))
    codes = rng.integers(0, 10, (n, 2))
    frame = pd.DataFrame({"maker": codes[:, 0], "city": codes[:, 1]}).map(lambda code: f"l{code}")
    frame["price"], frame["number"] = np.exp(rng.normal(3, 1, n)), rng.integers(1, 30, n)
    logarithm = effects[0][codes[:, 0]] + effects[1][codes[:, 1]] + 0.05 * rng.normal(size=n)
    return frame, (frame["price"] * frame["number"]).to_numpy() * np.exp(logarithm)


def notes(model: TTTRegressor, word: str) -> list[str]:
    return [note for note in model.adaptation_.notes if word in note]


@pytest.fixture
def chosen(monkeypatch):
    """The curve that is chosen before a linear part is looked for."""

    def choose(kind: type[Curve]) -> None:
        def as_told(target, rows, *_):
            curve = kind.fit(target.straight(rows.y))
            return *target.bent(curve, rows.y), "The target is skewed and was modelled so." if curve else ""

        monkeypatch.setattr(reading, "choose_curve", as_told)

    return choose


def test_a_product_is_a_sum_on_a_logarithm_whatever_was_chosen(chosen, tmp_path):
    frame, y = products(900)
    chosen(Ranks)
    model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:500], y[:500])
    target = model._table.target
    assert isinstance(target.curve, Logarithm)
    assert len(notes(model, "of the target, taken as its logarithm, in other rows")) == 1
    assert not notes(model, "skewed")
    answers = model.predict(frame[500:])
    relative = answers / y[500:] - 1
    assert np.sqrt(np.mean(relative**2)) < 0.1  # noise of .05
    model.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict(frame[500:]), answers)


def test_what_was_chosen_is_named_once(chosen):
    frame, y = products(500)
    chosen(Logarithm)
    model = TTTRegressor(random_state=0, n_steps=0).fit(frame, y)
    assert isinstance(model._table.target.curve, Logarithm)
    assert len(notes(model, "of the target in other rows")) == len(notes(model, "skewed")) == 1


class TestWhichAreTried:
    @pytest.fixture
    def asked(self, monkeypatch):
        """How many ways are tried by the model."""
        asked = []
        monkeypatch.setattr(choose_linear.Trial, "run", lambda self, ways: asked.append(len(ways)))
        monkeypatch.setattr(reading, "choose_keys", lambda levels, rows, *_, **__: (levels, rows, ""))
        return asked

    def test_those_on_the_chosen_scales_and_one_other(self, asked, chosen):
        """As it is, by ranks, on the plain scale and on the logarithm; not on the square root."""
        frame, y = products(400)
        chosen(Ranks)
        TTTRegressor(n_steps=0).fit(frame, y)
        assert asked == [4]

    def test_none_other_that_says_less(self, asked):
        """A sum is one on the plain scale."""
        x = np.random.default_rng(0).normal(size=(400, 3))
        TTTRegressor(n_steps=0).fit(x, 20 + x.sum(1))
        assert asked == [2]

    @pytest.mark.parametrize(("limit", "n_ways"), [(15.0, []), (35.0, [3]), (95.0, [4])])
    def test_on_others_while_there_is_time(self, limit, n_ways, asked, chosen, monkeypatch):
        """Two scales, then two more, of a second each; a tenth of what is left may be used."""
        clock, own = Clock(), choose_linear._ways_apart
        monkeypatch.setattr(
            choose_linear, "_ways_apart", lambda *given, **named: clock.spend(1.0) or own(*given, **named)
        )
        frame, y = products(400)
        chosen(Ranks)
        backbone = load_embedded("regressor")
        fitted(backbone, frame, y, numeric=True, n_steps=0, n_members=1, budget=Budget(limit, clock))
        assert asked == n_ways


class TestBest:
    """Which of some ways is taken, with losses that are given: CRPS and squared error of a hundred rows."""

    @staticmethod
    def best(
        *ways: tuple[float, float], n_own: int = 1, share: float = 0.0, bends: tuple[int, int] = (1, 3)
    ) -> int:
        noise = np.random.default_rng(0).normal(size=100)
        noise = (noise - noise.mean()) / noise.std(ddof=1) * 10  # a standard error of one
        measured = [
            np.column_stack([crps + k * noise, error + k * noise]) for k, (crps, error) in enumerate(ways)
        ]
        return choose_linear._best(measured, bends, n_own, None, share)

    def test_another_scale_must_be_clearly_better_than_the_chosen_ones(self):
        as_is, own = (50.0, 50.0), (40.0, 40.0)
        assert self.best(as_is, own, (38.1, 40.0)) == 1
        assert self.best(as_is, own, (37.9, 40.0)) == 2
        assert self.best(as_is, own, (37.9, 41.1)) == 1

    def test_on_a_simpler_curve_it_must_be_better_at_all(self):
        as_is, own = (50.0, 50.0), (40.0, 40.0)
        assert self.best(as_is, own, (39.9, 40.0), bends=(3, 1)) == 2
        assert self.best(as_is, own, (40.1, 40.0), bends=(3, 1)) == 1
        assert self.best(as_is, own, (39.9, 41.1), bends=(3, 1)) == 1
        assert self.best(as_is, own, (39.9, 40.0), bends=(1, 1)) == 1

    def test_where_nothing_is_found_on_those_it_must_be_better_than_as_it_is(self):
        as_is, own = (50.0, 50.0), (49.0, 50.0)
        assert self.best(as_is, own, (46.1, 50.0)) == 0
        assert self.best(as_is, own, (45.9, 50.0)) == 2
        assert self.best(as_is, (45.9, 50.0), n_own=0) == 1

    def test_before_training_it_must_be_better_by_two_fifths(self):
        assert self.best((50.0, 50.0), (49.0, 50.0), (31.0, 20.0), share=0.4) == 0
        assert self.best((50.0, 50.0), (29.0, 20.0), (26.0, 20.0), share=0.4) == 1 + 1


@pytest.mark.filterwarnings("error")
def test_numbers_whose_logarithms_are_the_same_have_none():
    """One part in 1e16 is no part of a logarithm: nothing is divided by zero."""
    x, y = np.arange(80.0)[:, None], np.full(80, 4e15)
    y[:3] += 1.0, 2.0, 3.0
    table = Encoded(x, ("a",), ("number",), (0,))
    target = NumericTarget(TargetScaler(0.0, 1.0))
    found = list(choose_linear._every_scale([(target, EncodedRows(table, x, y, None, None))]))
    assert found
    assert all(np.isfinite(rows.y).all() for _, rows in found)
