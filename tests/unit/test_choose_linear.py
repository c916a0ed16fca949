"""The linear part of a target is taken out where that pays: on other rows, on the right scale, within the time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.slow import with_slow_views
from tests.support.tables import fitted, linear_table
from testtime import TTTRegressor, load, plan_table
from testtime.adapt.budget import Budget
from testtime.backbones.embedded import load_embedded
from testtime.errors import StoreError
from testtime.estimators.together import fit_together
from testtime.table import build, choose_linear, fit, reading, trial
from testtime.table.columns import DataWarning
from testtime.table.saved import StoredTable, from_stored, to_stored
from testtime.table.tail_episodes import TailRecipe
from testtime.table.target_curve import IDENTITY


def table(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A target that is a sum of its columns, but for a small wave that only a model can find."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    frame["town"] = rng.choice(list("xyz"), n)
    return frame, 3 * frame["a"] - 2 * frame["b"] + (frame["town"] == "x") + 0.05 * np.sin(3 * frame["c"])


def wave(n: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    """A target that is no sum of columns."""
    frame, _ = table(n)
    return frame, np.sin(3 * frame["a"]) * np.sign(frame["b"])


def said(model: TTTRegressor) -> list[str]:
    return [note for note in model.adaptation_.notes if note.startswith("A ridge regression")]


class TestChoice:
    """With the weights that ship: whether it pays is a question to the model."""

    def test_it_pays_where_the_target_is_nearly_a_sum(self, tmp_path):
        frame, y = table(900)
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:600], y[:600])
        assert len(said(model)) == 1
        assert model.adaptation_.unit == "standard deviations of what a ridge regression leaves of the target"
        answers = model.predict(frame[600:])
        assert np.sqrt(np.mean((answers - y[600:]) ** 2)) < 0.005 * y.std()
        inside = model.predict_quantiles(frame[600:], (0.1, 0.9))
        assert 0.6 < np.mean((inside[:, 0] <= y[600:]) & (y[600:] <= inside[:, 1])) <= 1
        model.save(tmp_path / "model")
        assert np.array_equal(load(tmp_path / "model").predict(frame[600:]), answers)

    def test_an_exact_sum_is_exact(self):
        frame, _ = table()
        y = 1e6 + 3 * frame["a"] - 2 * frame["b"]
        model = TTTRegressor(random_state=0, n_steps=5).fit(frame[:300], y[:300])
        assert np.abs(model.predict(frame[300:]) - y[300:]).max() < 1e-4

    def test_it_does_not_pay_where_the_target_is_no_sum(self):
        frame, y = wave()
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame, y)
        assert not said(model)
        assert model.adaptation_.unit == "standard deviations of the target"

    def test_what_is_linear_on_no_curve_is_taken_as_it_is(self):
        """Sums of money: skewed, and on a logarithm no sum of their parts."""
        rng = np.random.default_rng(0)
        parts = np.exp(1.5 * rng.normal(size=(700, 3)))
        model = TTTRegressor(random_state=0, n_steps=0).fit(parts[:500], parts[:500].sum(1))
        assert len(said(model)) == 1
        assert model._table.target.curve is IDENTITY
        assert not [note for note in model.adaptation_.notes if "skewed" in note]
        total = parts[500:].sum(1)
        assert np.sqrt(np.mean((model.predict(parts[500:]) - total) ** 2)) < 0.02 * total.std()

    def test_what_is_linear_on_a_curve_is_taken_there(self):
        frame, y = table()
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame, np.exp(y / 2))
        assert len(said(model)) == 1
        assert model._table.target.curve is not IDENTITY
        assert [note for note in model.adaptation_.notes if "skewed" in note]

    def test_a_rare_level_or_an_eleventh_is_no_cliff(self):
        """Sums of effects: with eight levels each, with one of four rows beside them, and with twelve."""
        rng = np.random.default_rng(0)
        for n_levels, n_rare in ((8, 0), (8, 4), (12, 0)):
            codes = rng.integers(0, n_levels, (900, 6))
            codes[:n_rare] = n_levels
            y = rng.normal(size=(13, 6))[codes, np.arange(6)].sum(1) + 0.3 * rng.normal(size=900)
            frame = pd.DataFrame(codes).map(lambda code: f"l{code}")
            model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:500], y[:500])
            assert len(said(model)) == 1
            assert np.sqrt(np.mean((model.predict(frame[500:]) - y[500:]) ** 2)) < 0.4  # .7 to .8 without

    def test_levels_say_what_the_part_leaves_of_their_rows(self):
        """Their statistics are of the target as it is modelled: next to nothing where the part knows the towns."""
        rng = np.random.default_rng(0)
        town, a = rng.integers(0, 40, 1200), rng.normal(size=1200)
        y = 30 * a + 3 * rng.normal(size=40)[town] + 0.1 * rng.normal(size=1200)
        frame = pd.DataFrame({"a": a, "town": [f"t{k}" for k in town]})
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:900], y[:900])
        assert len(said(model)) == 1
        table = model._table
        assert len(table.target.linear.weights) == 41
        assert 0.002 < table.target.linear.left < 0.006  # of the deviation of the target
        assert np.abs(table.encoding.levels.columns[0].means).max() < 0.5  # deviations of what is left
        assert np.sqrt(np.mean((model.predict(frame[900:]) - y[900:]) ** 2)) < 0.12

    def test_what_levels_add_is_in_doubt_where_one_is_new(self):
        """Effects of towns with a deviation of 1: of a new town, not only the noise of .1 is unknown."""
        rng = np.random.default_rng(0)
        town, a = rng.integers(0, 40, 1000), rng.normal(size=1000)
        town[600:] += 40 * (np.arange(400) % 2)
        y = 3 * a + rng.normal(size=80)[town] + 0.1 * rng.normal(size=1000)
        frame = pd.DataFrame({"a": a, "town": [f"t{k}" for k in town]})
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:600], y[:600])
        assert len(said(model)) == 1
        with pytest.warns(DataWarning, match="not there at fit"):
            ends = model.predict_quantiles(frame[600:], (0.1, 0.9))
        inside = (ends[:, 0] <= y[600:]) & (y[600:] <= ends[:, 1])
        new = town[600:] >= 40
        assert np.median(np.ptp(ends, axis=1)[~new]) < 0.5
        assert 0.6 < inside[~new].mean() < 0.95
        assert inside[new].mean() > 0.5  # .1 where what levels add stays out of what the model reads


class TestMeasure:
    """What is compared, with losses that are given."""

    @pytest.fixture
    def taken(self, monkeypatch):
        def taken(gain: float, closer: float, **given) -> bool:
            frame, y = table()
            noise = np.random.default_rng(0).normal(size=400)
            noise = (noise - noise.mean()) / noise.std(ddof=1) * 20  # a standard error of one
            before = np.column_stack([noise + gain, noise + closer])
            monkeypatch.setattr(choose_linear.Trial, "run", lambda *_: [before, np.zeros((400, 2))])
            return bool(said(TTTRegressor(n_steps=0).fit(frame, y, **given)))

        return taken

    def test_a_gain_within_two_standard_errors_is_none(self, taken):
        assert [taken(gain, 9.0) for gain in (1.9, 2.1)] == [False, True]

    def test_squared_errors_may_not_rise_but_for_noise(self, taken):
        assert [taken(9.0, closer) for closer in (-1.1, -0.9)] == [False, True]

    def test_before_training_the_loss_must_fall_by_two_fifths(self, monkeypatch):
        """Adapters learn much of a linear part themselves."""
        monkeypatch.setattr(build, "settle_doubt", lambda read, fit, _: (read, fit(read)))
        frame, y = table()
        as_is = np.full((400, 2), 1.0)
        for loss, frozen, adapted in ((0.61, True, False), (0.59, True, True)):
            monkeypatch.setattr(choose_linear.Trial, "run", lambda *_, loss=loss: [as_is, as_is * loss])
            for n_steps, is_taken in ((0, frozen), (1, adapted)):
                model = TTTRegressor(n_steps=n_steps, n_members=1).fit(frame, y)
                assert bool(said(model)) == is_taken

    def test_of_few_rows_nothing_is_trained(self, monkeypatch):
        monkeypatch.setattr(build, "settle_doubt", lambda read, fit, _: (read, fit(read)))
        frame, y = table()
        for n_rows, is_taken in ((85, True), (86, False)):
            as_is = np.full((n_rows, 2), 1.0)
            monkeypatch.setattr(choose_linear.Trial, "run", lambda *_, as_is=as_is: [as_is, as_is * 0.7])
            model = TTTRegressor(n_members=1).fit(frame[:n_rows], y[:n_rows])
            assert bool(said(model)) == is_taken

    def test_rows_of_a_group_count_as_one_in_the_error(self, monkeypatch):
        frame, y = table()
        told = []
        for module in (trial, choose_linear):
            monkeypatch.setattr(
                module, "standard_error", lambda gains, of: told.append((len(gains), of)) or 0.0
            )
        monkeypatch.setattr(reading, "choose_keys", lambda levels, rows, *_, **__: (levels, rows, ""))
        TTTRegressor(n_steps=0).fit(frame, y, groups=np.arange(400) // 4)
        assert len(told) > 2
        assert all(n_rows == len(of) == 400 and 90 < len(np.unique(of)) <= 100 for n_rows, of in told)

    def test_the_better_of_two_scales_is_taken(self, monkeypatch):
        frame, y = table()
        zeros = np.zeros((400, 2))
        monkeypatch.setattr(choose_linear, "_every_scale", lambda _: iter(()))
        for losses, plain in (((1.0, 2.0), False), ((2.0, 1.0), True)):
            ways = [zeros + 3.0, *(zeros + loss for loss in losses)]
            monkeypatch.setattr(choose_linear.Trial, "run", lambda *_, ways=ways: ways)
            model = TTTRegressor(n_steps=0).fit(frame, np.exp(y / 3))
            assert (model._table.target.curve is IDENTITY) == plain

    def test_many_levels_have_terms_where_that_is_better(self, monkeypatch):
        """The model may know them better than a regression."""
        frame, y = table()
        frame["street"] = np.arange(400) % 20
        frame["street"] = "s" + frame["street"].astype(str)
        for (few, every), n_terms in (((1.0, 2.0), 6), ((2.0, 1.0), 26)):
            ways = [np.full((400, 2), loss) for loss in (3.0, few, every)]
            monkeypatch.setattr(choose_linear.Trial, "run", lambda *_, ways=ways: ways)
            model = TTTRegressor(n_steps=0).fit(frame, y)
            assert len(model._table.target.linear.weights) == n_terms


def test_few_rows_are_not_tried():
    for n_rows, is_tried in ((59, False), (60, True)):
        frame, y = table(n_rows)
        assert bool(said(TTTRegressor(random_state=0, n_steps=0).fit(frame, y))) == is_tried


def test_a_part_that_explains_little_is_not_tried(monkeypatch):
    asked = []
    monkeypatch.setattr(choose_linear.Trial, "run", lambda self, ways: asked.append(len(ways)))
    for noise, expected in ((2.5, []), (1.5, [2])):  # a seventh, and nearly a third of the variance
        frame, y = linear_table(600, 0, noise=noise)
        TTTRegressor(n_steps=0).fit(frame, y)
        assert asked == expected


def test_which_rows_come_first_changes_nothing(monkeypatch):
    """A sorted table: guards are rows of every part of it, and as many as are needed."""
    trials = []
    own = choose_linear.Trial.of
    monkeypatch.setattr(
        choose_linear.Trial, "of", lambda *given, **named: trials.append(own(*given, **named)) or trials[-1]
    )
    frame, y = table(3200)
    TTTRegressor(n_steps=0, n_context=64).fit(frame.sort_values("a"), y[frame.sort_values("a").index])
    (trial,) = trials
    assert [len(fold.guard) for fold in trial.dealt] == [512] * 3
    assert all(len(fold.context) == 1024 for fold in trial.dealt)
    thirds = np.bincount(trial.measured * 3 // 3200)
    assert thirds.min() > 400


def test_the_mixture_is_measured_with_parts_that_have_not_seen_the_fold(monkeypatch):
    """The targets of a fold are in no target that its adapters see."""
    frame, y = table(200)
    seen = []
    own = fit.Fold
    monkeypatch.setattr(fit, "Fold", lambda *given: seen.append(own(*given)) or seen[-1])
    model = TTTRegressor(random_state=0, n_steps=1, n_members=4).fit(frame, y)
    assert len(said(model)) == 1
    folds, served = seen[-4:], model._table
    assert len({fold.y[fold.pool][0] for fold in folds}) > 1
    for fold in folds:
        assert not np.isin(fold.y[fold.guard], served.y).any()


def test_with_time_later_rows_are_predicted_from_earlier_ones(monkeypatch):
    """A slope that turns over: of rows in any order it explains much, of later rows it says the opposite."""
    rng = np.random.default_rng(0)
    a, moment = rng.normal(size=600), np.arange(600)
    y = np.where(moment < 360, 3.0, -3.0) * a + 0.1 * rng.normal(size=600)
    folds = []
    own = choose_linear.Trial.of
    monkeypatch.setattr(
        choose_linear.Trial, "of", lambda *given, **named: folds.append(own(*given, **named)) or folds[-1]
    )
    frame = pd.DataFrame({"a": a, "b": rng.normal(size=600) + 3 * y})
    TTTRegressor(n_steps=0).fit(frame, y, time=moment)
    (trial,) = folds
    assert trial.dealt
    assert all(moment[fold.context].max() < moment[fold.guard].min() for fold in trial.dealt)


@pytest.mark.parametrize(("limit", "taken"), [(60.0, False), (6000.0, True)])
def test_without_time_to_try_it_the_target_stays_as_it_is(limit: float, taken: bool, monkeypatch):
    frame, y = table()
    backbone, clock = with_slow_views("regressor", 10.0, monkeypatch)
    found = fitted(
        backbone, frame, y.to_numpy(), numeric=True, n_steps=0, n_members=1, budget=Budget(limit, clock)
    )
    assert (found.target.linear is not None) == taken


def test_a_damaged_part_is_refused():
    frame, y = table()
    backbone = load_embedded("regressor")
    found = fitted(backbone, frame, y.to_numpy(), numeric=True, n_steps=0, n_members=1)
    stored = to_stored(found)
    for name, damaged in {
        "places": stored.arrays["target_linear_places"] + 9,
        "weights": stored.arrays["target_linear_weights"][:-1],
        "numbers": np.zeros(3),
        "scales": -stored.arrays["target_linear_scales"],
        "forms": stored.arrays["target_linear_forms"].astype(float),
        "extra": np.zeros(3),
    }.items():
        arrays = stored.arrays | {f"target_linear_{name}": damaged}
        with pytest.raises(StoreError):
            from_stored(StoredTable(stored.meta, arrays, stored.tensors), backbone, found.device, found.dtype)
    del stored.arrays["target_linear_middles"]
    with pytest.raises(StoreError, match="target_linear_middles"):
        from_stored(stored, backbone, found.device, found.dtype)


def test_the_plan_measures_what_the_fit_serves(monkeypatch):
    """What a regression leaves is all there is to learn, and harder than the sum was."""
    frame, y = table()
    told = plan_table(frame, y).signs["loss left"]
    monkeypatch.setattr(choose_linear.Trial, "run", lambda *_: None)
    assert plan_table(frame, y).signs["loss left"] < 0.6 * told


def test_groups_are_modelled_table_by_table():
    (frame, total), (other, waved) = table(300), wave(300)
    fits = [TTTRegressor(random_state=0), TTTRegressor(random_state=0)]
    assert fit_together(fits, [(frame, total), (other, waved)], TailRecipe(n_steps=2)) == [None, None]
    assert [len(said(one)) for one in fits] == [1, 0]
    assert np.sqrt(np.mean((fits[0].predict(frame) - total) ** 2)) < 0.01 * total.std()


def test_a_typing_error_decides_no_answer_on_a_logarithm_either():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    y = np.exp(X @ rng.normal(size=5) + 0.1 * rng.normal(size=400))
    model = TTTRegressor(n_steps=0, n_members=1, random_state=0).fit(X, y)
    target = model._table.target
    assert target.curve.name == "as its logarithm"
    assert target.linear is not None
    most = y.max() + 0.5 * np.ptp(y)
    assert target.straight(target.linear.bounds[1]) <= most * (1 + 1e-9)
    assert model.predict([[1000.0, 3.0, 0.0, 0.0, 0.0]]).item() <= most
