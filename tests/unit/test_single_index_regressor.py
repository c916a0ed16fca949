"""The regressor: recovery, units, reports, refusals, and the batched fit."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

from testtime import InputError, SingleIndexRegressor
from testtime.single_index.many import fit_many
from testtime.single_index.pipeline import rows_needed

SCALES = np.array([1.0, 20.0, 0.05, 3.0, 1.0, 7.0])


def cubic(z: np.ndarray) -> np.ndarray:
    return (z**3 - 3 * z) / np.sqrt(6)


def table(seed: int = 0, n_rows: int = 200, dim: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    beta = rng.standard_normal(dim)
    beta /= np.linalg.norm(beta)
    X = rng.standard_normal((n_rows, dim))
    return X, cubic(X @ beta) + 0.1 * rng.choice([-1.0, 1.0], n_rows), beta


def fit(X: np.ndarray, y: np.ndarray, **params: object) -> SingleIndexRegressor:
    return SingleIndexRegressor(random_state=0, **params).fit(X, y)  # type: ignore[arg-type]


def test_recovers_direction_and_link() -> None:
    X, y, beta = table()
    model = fit(X, y)
    sign = np.sign(model.direction_ @ beta)
    assert abs(model.direction_ @ beta) > 0.999
    z = np.linspace(-1.5, 1.5, 31)
    np.testing.assert_allclose(model.link(sign * z), cubic(z), atol=0.1)
    np.testing.assert_allclose(model.predict(X), model.link(X @ model.direction_), rtol=1e-10, atol=1e-10)
    assert model.score(X, y) > 0.95


def test_direction_is_in_the_units_of_the_table() -> None:
    X, y, beta = table(1)
    shifted = X * SCALES + 5.0
    model = fit(shifted, 40 * y - 300)
    expected = beta / SCALES
    expected /= np.linalg.norm(expected)
    assert abs(model.direction_ @ expected) > 0.9999
    plain = fit(X, y)
    np.testing.assert_allclose(model.predict(shifted), 40 * plain.predict(X) - 300, rtol=1e-6)


def test_order_of_the_rows_does_not_matter() -> None:
    X, y, _ = table(2)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(fit(X, y).predict(X), fit(X[order], y[order]).predict(X), atol=1e-4)


def test_far_outside_the_data_predictions_stay_within_the_range_of_the_labels() -> None:
    X, y, _ = table(2)
    far = fit(X, y).predict(1e6 * X)
    span = y.max() - y.min()
    assert far.min() >= y.min() - span - 1e-9
    assert far.max() <= y.max() + span + 1e-9


def test_the_same_seed_gives_the_same_bytes() -> None:
    X, y, _ = table(3)
    first, second = fit(X, y), fit(X, y)
    assert np.array_equal(first.direction_, second.direction_)
    assert np.array_equal(first.predict(X), second.predict(X))


def test_a_pretrained_subspace_makes_forty_rows_enough_in_thirty_dimensions() -> None:
    rng = np.random.default_rng(4)
    subspace = np.linalg.qr(rng.standard_normal((30, 4)))[0]
    beta = subspace @ np.array([0.5, 0.5, -0.5, 0.5])
    X = SCALES[rng.integers(0, 6, 30)] * rng.standard_normal((40, 30))
    y = cubic(X @ beta / 5) + 0.05 * rng.choice([-1.0, 1.0], 40)
    model = fit(X, y, subspace=subspace)
    assert abs(model.direction_ @ beta) > 0.99
    names = [stage.name for stage in model.stages_]
    assert names == ["weak recovery", "strong recovery", "polish", "read-out"]


def test_direction_outside_the_subspace_needs_the_polish() -> None:
    X, y, beta = table(5, n_rows=600)
    rest = np.linalg.qr(np.c_[beta, np.random.default_rng(0).standard_normal((6, 2))])[0]
    tilted = np.cos(0.5) * rest[:, 0] + np.sin(0.5) * rest[:, 2]
    subspace = np.c_[tilted, rest[:, 1]]
    with_polish, without = fit(X, y, subspace=subspace), fit(X, y, subspace=subspace, polish=False)
    assert abs(with_polish.direction_ @ beta) > 0.999
    assert abs(without.direction_ @ beta) < 0.95


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_two_directions(combine: str) -> None:
    rng = np.random.default_rng(6)
    truth = np.linalg.qr(rng.standard_normal((5, 2)))[0].T
    X = rng.standard_normal((500, 5))
    z = X @ truth.T
    f = z[:, 0] ** 2 - 1 + cubic(z[:, 1]) if combine == "sum" else z[:, 0] * np.tanh(z[:, 1])
    model = fit(X, f + 0.05 * rng.choice([-1.0, 1.0], 500), n_directions=2)
    np.testing.assert_allclose(model.directions_ @ model.directions_.T, np.eye(2), atol=1e-10)
    cosines = np.linalg.svd(model.directions_ @ truth.T)[1]
    assert cosines.min() > 0.99
    if combine == "sum":  # additive: the rows are the directions themselves, not just their plane
        assert np.abs(model.directions_ @ truth.T).max(axis=1).min() > 0.99
    np.testing.assert_allclose(model.predict(X), model.link(X @ model.directions_.T), atol=1e-10)


def test_stage_reports_add_up() -> None:
    X, y, _ = table(7)
    stages = fit(X, y).stages_
    assert [stage.name for stage in stages] == ["weak recovery", "strong recovery", "read-out"]
    assert stages[-1].overlap_with_final == pytest.approx(1.0)
    assert stages[0].overlap_with_final <= stages[1].overlap_with_final
    assert stages[1].held_out_error < stages[0].held_out_error
    assert all(stage.n_rows == 200 for stage in stages)
    assert stages[1].to_dict()["method"] == "newton"


def test_the_papers_recipe_uses_every_row_once() -> None:
    X, y, _ = table(8, n_rows=400)
    model = fit(X, y, recipe="paper")
    assert [stage.method for stage in model.stages_] == ["distill", "online", "relu"]
    assert [stage.n_rows for stage in model.stages_] == [
        120,
        160,
        80,
    ]  # the 40 rows of N2 are the attention student's
    assert np.abs(model.readout_.biases).max() <= 1.0
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("strong", ["sgd", "online"])
@pytest.mark.parametrize("weak", ["attention", "labels"])
def test_other_stages_can_be_chosen(strong: str, weak: str) -> None:
    X, y, _ = table(9)
    model = fit(X, y, strong=strong, weak=weak)
    assert [stage.method for stage in model.stages_[:2]] == [weak, strong]


def test_heavy_tailed_labels_are_pulled_in_and_said_so() -> None:
    X, y, beta = table(10, n_rows=400)
    y[::50] = 1e6
    with pytest.warns(UserWarning, match=r"heavy-tailed labels: 8 of 400 .* pulled in"):
        model = fit(X, y)
    assert model.n_winsorized_ == 8
    assert abs(model.direction_ @ beta) > 0.99


def test_cauchy_noise_does_not_hide_the_direction() -> None:
    found = []
    for seed in range(6):
        X, y, beta = table(seed, n_rows=500)
        y = y + 0.1 * np.random.default_rng(seed).standard_cauchy(500)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found.append(abs(fit(X, y).direction_ @ beta))
    assert min(found) > 0.99


def test_ordinary_cubic_labels_are_left_alone() -> None:
    for seed in range(5):
        X, y, _ = table(seed, n_rows=2000)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert fit(X, y, n_restarts=0).n_winsorized_ == 0


def test_few_rows_are_counted() -> None:
    X, y, _ = table(11)
    needed = rows_needed(rank=6, n_directions=1, degree=5)
    assert needed == 12
    with pytest.raises(
        InputError, match=r"11 rows; expected at least 12 .* 6 dimensions\) .* Pass more rows"
    ):
        fit(X[:11], y[:11])
    with pytest.warns(UserWarning, match="uncertain below about 24 rows"):
        fit(X[:14], y[:14])
    with pytest.raises(InputError, match="each segment must outnumber"):
        fit(X[:40], y[:40], recipe="paper")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"subspace": np.eye(6)[:, :2] * 1.5}, "orthonormality by 1.2.*qr"),
        ({"subspace": np.eye(6)[:2]}, r"shape \(2, 6\).*Transpose"),
        ({"subspace": np.eye(7)[:, :2]}, r"shape \(7, 2\) for X with 6 columns"),
        ({"subspace": np.full((6, 2), np.nan)}, "orthonormality by nan"),
        ({"subspace": np.eye(6)[:, :1], "n_directions": 2}, "n_directions=2 in a subspace of dimension 1"),
        ({"n_directions": 7}, "n_directions=7 with 6 columns"),
        ({"n_directions": 0}, "n_directions=0"),
        ({"recipe": "papre"}, "recipe='papre'"),
        ({"weak": "distil"}, "Did you mean 'distill'"),
        ({"strong": "adam"}, "strong='adam'"),
        ({"readout": "tree"}, "readout='tree'"),
        ({"degree": 0}, "degree=0"),
        ({"width": 2.5}, "width=2.5"),
        ({"clip": -1.0}, "clip=-1.0"),
        ({"n_restarts": -1}, "n_restarts=-1"),
        ({"strong": "sgd", "n_directions": 2}, "follow one direction"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(params: dict[str, object], message: str) -> None:
    X, y, _ = table(12)
    with pytest.raises(InputError, match=message):
        fit(X, y, **params)


@pytest.mark.parametrize("where", ["X", "y"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_and_infinite_entries_are_refused(where: str, value: float) -> None:
    X, y, _ = table(13)
    if where == "X":
        X[3, 2] = value
    else:
        y[3] = value
    with pytest.raises(InputError, match=r"NaN|infinity"):
        fit(X, y)


@pytest.mark.parametrize("constant", [0.0, 3.7, 1e12])
def test_constant_labels_are_refused(constant: float) -> None:
    X, _, _ = table(14)
    with pytest.raises(InputError, match="labels that vary"):
        fit(X, np.full(len(X), constant))


def test_constant_and_duplicate_columns_do_no_harm() -> None:
    X, y, beta = table(15)
    wide = np.c_[X, np.full(len(X), 4.0), X[:, 0]]
    model = fit(wide, y)
    assert np.corrcoef(model.predict(wide), cubic(X @ beta))[0, 1] > 0.99


def test_link_refuses_the_wrong_number_of_projections() -> None:
    X, y, _ = table(16)
    model = fit(X, y, n_directions=2)
    with pytest.raises(InputError, match=r"shape \(4, 3\)"):
        model.link(np.zeros((4, 3)))
    assert fit(X, y).link(0.5).shape == ()


def test_plot_link_draws_curve_and_rows() -> None:
    X, y, _ = table(17)
    for n_directions in (1, 2):
        axes = fit(X, y, n_directions=n_directions).plot_link(X, y)
        rows, curve = axes.lines
        assert len(rows.get_xdata()) == len(X)
        assert np.isfinite(curve.get_ydata()).all()
    assert len(fit(X, y).plot_link().lines) == 1


def test_many_tasks_equal_a_loop() -> None:
    tables = [table(seed, n_rows=60) for seed in range(5)]
    X, Y = np.stack([t[0] for t in tables]), np.stack([t[1] for t in tables])
    subspace = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 5)))[0]
    together = fit_many(X, Y, subspace=subspace, random_state=0)
    for x, y, model in zip(X, Y, together, strict=True):
        alone = fit(x, y, subspace=subspace)
        np.testing.assert_allclose(model.direction_, alone.direction_, atol=1e-4)
        np.testing.assert_allclose(model.predict(x), alone.predict(x), atol=1e-3)
        assert [s.method for s in model.stages_] == [s.method for s in alone.stages_]


def test_many_tasks_name_the_bad_one() -> None:
    X = np.random.default_rng(0).standard_normal((3, 40, 2))
    Y = X[:, :, 0].copy()
    Y[1] = 2.0
    with pytest.raises(InputError, match="task 1: all 40 labels are 2"):
        fit_many(X, Y)
    Y[2, 5] = np.nan
    with pytest.raises(InputError, match="task 2 holds NaN"):
        fit_many(X, Y)
    with pytest.raises(InputError, match="X of shape"):
        fit_many(X, Y[:, :10])


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_units_whose_squares_leave_the_range_change_nothing(unit: float) -> None:
    X, y, _ = table(12)
    plain = fit(X, y).predict(X)
    np.testing.assert_allclose(fit(X, y * unit).predict(X) / unit, plain, atol=1e-6)
    np.testing.assert_allclose(fit(X * unit, y).predict(X * unit), plain, atol=1e-6)


@pytest.mark.parametrize("params", [{"clip": "3"}, {"clip": None}, {"subspace": "columns"}])
def test_parameters_of_the_wrong_type_are_refused(params: dict) -> None:
    X, y, _ = table(13)
    with pytest.raises(InputError):
        fit(X, y, **params)


@pytest.mark.parametrize("state", [-1, "a", 1.5])
def test_a_seed_that_is_none_is_refused(state: object) -> None:
    X, y, _ = table(13)
    with pytest.raises(InputError, match=r"random_state=.*; expected an integer from 0"):
        SingleIndexRegressor(random_state=state).fit(X, y)
    with pytest.raises(InputError, match=r"random_state=.*; expected an integer from 0"):
        fit_many(X[None], y[None], random_state=state)


def test_labels_that_are_words_are_refused() -> None:
    X, y, _ = table(13)
    with pytest.raises(InputError, match="could not convert"):
        fit(X, np.where(y > 0, "high", "low"))


def test_the_package_offers_its_entry_points_lazily_and_matplotlib_is_loaded_only_to_draw() -> None:
    code = (
        "import sys, testtime.single_index as s; assert 'numpy' not in sys.modules\n"
        "assert callable(s.fit_many) and callable(s.pretrain_family) and s.SingleIndexRegressor().clip == 3\n"
        "import testtime.single_index.regressor, testtime.single_index.many\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("link", [lambda z: z**5, lambda z: cubic(2.4 * z) + z**4, lambda z: np.exp(2 * z)])
def test_far_labels_that_the_link_predicts_are_kept_and_said_so(link) -> None:
    X, _, beta = table(1, n_rows=300)
    noise = 0.1 * np.random.default_rng(0).choice([-1.0, 1.0], len(X))
    with pytest.warns(UserWarning, match=r"heavy-tailed labels: \d+ of 300 .* kept"):
        model = fit(X, link(X @ beta) + noise)
    assert model.n_winsorized_ == 0
    inside = np.random.default_rng(1).uniform(-1.5, 1.5, (200, 6))
    truth = link(inside @ beta)
    within = np.abs(inside @ beta) < np.abs(X @ beta).max()
    assert np.mean((model.predict(inside) - truth)[within] ** 2) < 0.05 * truth[within].var()


def test_tasks_fitted_together_treat_far_labels_as_alone() -> None:
    X, y, beta = table(10, n_rows=200)
    spikes = y.copy()
    spikes[::50] = 1e6
    labels = np.stack([y, spikes, (X @ beta) ** 5])
    with pytest.warns(UserWarning, match="2 of 3 tasks"):
        models = fit_many(np.stack([X] * 3), labels, random_state=0)
    assert [model.n_winsorized_ for model in models] == [0, 4, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for model, one in zip(models, labels, strict=True):
            alone = fit(X, one)
            assert np.abs(model.predict(X) - alone.predict(X)).max() < 1e-3 * alone.predict(X).std()
