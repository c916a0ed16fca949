"""Curves of a skewed target: exact inverses, what they refuse, and that the better one on other rows is taken."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.support.models import tiny_regressor
from tests.support.tables import fitted, linear_table
from testtime.adapt.budget import Budget
from testtime.backbones.base import Encoded
from testtime.errors import StoreError
from testtime.table import choose_curve as module
from testtime.table.encoding import EncodedRows
from testtime.table.read_target import numeric_target
from testtime.table.saved import StoredTable, from_stored, to_stored
from testtime.table.target_curve import CURVES, IDENTITY, Curve, Logarithm, Ranks, SignedPower, is_skewed

_RNG = np.random.default_rng(0)
TARGETS = {
    "even": _RNG.normal(size=300),
    "positive": np.exp(2 * _RNG.normal(size=300)),
    "many zeros": np.maximum(_RNG.normal(size=300), 0),
    "heavy": _RNG.standard_t(1.5, size=300),
    "huge": 1e200 * np.exp(_RNG.normal(size=300)),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", CURVES)
def test_a_curve_rises_and_is_bent_back(kind, name):
    y = np.sort(TARGETS[name])
    curve = kind.fit(y)
    if curve is None:
        assert kind is Logarithm
        assert y.min() <= 0
        return
    assert curve.valid
    bent = curve.forward(y)
    assert (np.diff(bent) >= 0).all()
    assert np.allclose(
        curve.inverse(bent), y, rtol=1e-9, atol=1e-9 * np.abs(y).max() * (kind is not Logarithm)
    )
    target, values = numeric_target(y, len(y))
    other, standard = target.bent(curve, values)
    assert standard.mean() == pytest.approx(0, abs=1e-9)
    assert np.allclose(other.straight(standard), y, rtol=1e-9, atol=1e-9 * np.abs(y).max())


def test_quantiles_are_those_of_the_target():
    y = TARGETS["positive"]
    target, values = numeric_target(y, len(y))
    for kind in (Logarithm, SignedPower, Ranks):
        other, standard = target.bent(kind.fit(y), values)
        for level in (0.1, 0.5, 0.9):  # an order statistic is one on every curve
            own = np.quantile(standard, level, method="lower")
            assert other.straight(own) == pytest.approx(np.quantile(y, level, method="lower"))


def test_what_is_skewed():
    standard = {name: (y - y.mean()) / y.std() for name, y in TARGETS.items() if name != "huge"}
    assert {name: is_skewed(y) for name, y in standard.items()} == {
        "even": False,
        "positive": True,
        "many zeros": True,
        "heavy": True,
    }


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (Curve, [1.0]),
        (Logarithm, [0.0]),
        (Logarithm, [np.inf]),
        (Logarithm, [1.0, 2.0]),
        (SignedPower, [0.0, 0.0]),
        (SignedPower, [np.nan, 1.0]),
        (Ranks, [1.0, 2.0]),
    ],
)
def test_numbers_that_no_fit_gives(kind, numbers):
    assert not kind(np.array(numbers)).valid


def skewed_table(n=240):
    """The logarithm of the target follows the first column exactly, which no straight scale shows as well."""
    frame, even = linear_table(n, 0, noise=0.1)
    return frame, np.exp(1.5 * even)


def test_the_better_curve_is_taken_said_and_saved():
    frame, y = skewed_table()
    backbone = tiny_regressor()
    table = fitted(backbone, frame, y, numeric=True, n_steps=0, n_members=1)
    said = [note for note in table.record.notes if "skewed" in note or ", taken " in note]
    assert bool(said) == (table.target.curve is not IDENTITY)
    again = from_stored(to_stored(table), backbone, table.device, table.dtype)
    assert type(again.target.curve) is type(table.target.curve)
    assert np.array_equal(again.predict(frame), table.predict(frame))
    if said:  # where the frozen model gained, it gained by more than a standard error
        assert "instead of" in said[0]


def test_an_even_target_and_one_without_time_stay_as_they_are():
    frame, even = linear_table(240, 0)
    _, skewed = skewed_table()
    for y, budget in ((even, None), (skewed, Budget(1e-9))):
        table = fitted(tiny_regressor(), frame, y, numeric=True, n_steps=0, n_members=1, budget=budget)
        assert table.target.curve is IDENTITY


def test_where_too_few_groups_are_left_to_compare_on_the_target_stays_as_it_is():
    frame, skewed = skewed_table()
    groups = np.arange(240) // 120
    table = fitted(tiny_regressor(), frame, skewed, numeric=True, n_steps=0, n_members=1, groups=groups)
    assert table.target.curve is IDENTITY


def test_a_damaged_curve_is_refused():
    frame, even = linear_table(80, 0)
    backbone = tiny_regressor()
    table = fitted(backbone, frame, even, numeric=True, n_steps=0, n_members=1)
    stored = to_stored(table)
    for place, numbers in ((9, [0.0, 1.0]), (2, [0.0, -1.0]), (0, [0.0])):
        arrays = stored.arrays | {
            "target_curve": np.array([place]),
            "target_curve_numbers": np.array(numbers),
        }
        with pytest.raises(StoreError, match="curve of its target"):
            from_stored(StoredTable(stored.meta, arrays, stored.tensors), backbone, table.device, table.dtype)
    assert isinstance(table.predict(pd.DataFrame(frame)), np.ndarray)


def test_a_logarithm_ends_above_the_targets_and_one_saved_before_does_not():
    y = np.array([1.0, 2.0, 11.0])
    curve = Logarithm.fit(y)
    assert curve.inverse(np.array([50.0, np.log(15.0)])).tolist() == pytest.approx([16.0, 15.0])
    assert Logarithm(np.empty(0)).inverse(np.array([50.0])) == pytest.approx(np.exp(50.0))
    assert Logarithm.fit(np.array([1e-300, 1.7e308])) is None  # its end is no number


def test_bounds_of_a_linear_part_hold_in_the_unit_of_the_target():
    y = np.exp(np.linspace(0.0, 6.0, 50))
    target, values = numeric_target(y, len(y))
    bent, standard = target.bent(Logarithm.fit(y), values)
    wide = np.array([standard.min() - 1.5, standard.max() + 1.5])
    low, high = bent.narrowed(wide, standard)
    assert low == wide[0]
    assert high < wide[1]
    assert bent.straight(np.array([high])) == pytest.approx(y.max() + 0.5 * np.ptp(y))
    assert target.narrowed(np.array([-0.1, 0.1]), values).tolist() == [-0.1, 0.1]


def test_a_curve_that_decides_the_mean_by_a_few_far_quantiles_is_not_taken(monkeypatch):
    rng = np.random.default_rng(0)
    y = np.exp(rng.normal(size=200))
    target, values = numeric_target(y, len(y))
    x = np.ones((200, 1))
    rows = EncodedRows(Encoded(x, ("a",), ("number",), (0,)), x, values)

    def losses(errors):
        def of_fold(target, rows, bent, y, held, *rest):
            is_log = isinstance(bent.curve, Logarithm)
            crps = np.full(len(held), 0.5 if is_log else 0.6) + rng.normal(0, 0.01, len(held))
            return np.column_stack([crps, (errors if is_log else 1.0) + rng.normal(0, 0.01, len(held))])

        return of_fold

    def chosen(errors):
        monkeypatch.setattr(module, "_fold_losses", losses(errors))
        device = SimpleNamespace(device=torch.device("cpu"))
        given = (target, rows, tiny_regressor(), device, np.random.SeedSequence(0), Budget(None))
        return type(module.choose_curve(*given)[0].curve)

    assert chosen(1.0) is Logarithm
    assert chosen(0.5) is Logarithm
    assert chosen(1.5) is Curve
