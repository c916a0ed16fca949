"""The three-stage algorithm as a scikit-learn regressor."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from testtime.errors import InputError, sentence
from testtime.single_index.pipeline import Settings, ThreeStages
from testtime.single_index.preparation import Prepared, checked_subspace, prepare, run_prepared

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SingleIndexRegressor"]

Array = np.ndarray


class SingleIndexRegressor(RegressorMixin, BaseEstimator):
    r"""Regression on one or two hidden directions: :math:`y = s(\langle\beta, x\rangle) + \mathrm{noise}`,
    s unknown.

    ``fit`` standardises the columns and the labels and then runs the three stages of Kuwataka and Suzuki
    (2026): weak recovery of the direction by self-distillation, strong recovery on the sphere, and a ridge
    read-out along the recovered direction. With a `subspace` from pretraining
    (:func:`testtime.single_index.pretrain.pretrain`) the number of rows it needs grows with the dimension
    of that subspace, not with the number of columns.

    Reference: Kuwataka and Suzuki (2026), the three stages.

    Parameters
    ----------
    subspace
        Orthonormal basis of the space the direction lies in, shape `(n_features, rank)`, in the units of
        `X`; None searches all columns.
    n_directions
        Directions to recover; 2 fits :math:`y = f(\langle\beta_1, x\rangle, \langle\beta_2, x\rangle)`.
    recipe
        ``"practical"`` uses all rows in every stage. ``"paper"`` is strict: one pass over four disjoint
        segments, spherical SGD with a fixed random activation, biases in [-1, 1]. It often fails at
        feasible sizes and is here for comparison; labels are standardised and clipped in it as well, which
        :func:`testtime.single_index.literal.literal_stages` does not do.
    weak
        Stage I; ``"auto"`` or one of :data:`testtime.single_index.weak_recovery.KINDS`.
    strong
        Stage II: ``"newton"`` (Gauss-Newton on the profile loss, several starts), ``"sgd"`` (minibatches,
        refitted link), ``"online"`` (literal), or ``"auto"``: ``"newton"``, for the paper's recipe
        ``"online"``.
    readout
        Stage III: ``"relu"``, ``"hermite"``, or ``"auto"``: what leaving rows out prefers, for the paper's
        recipe ``"relu"``.
    degree
        Total degree of the polynomial link inside the stages.
    width
        Random ReLU features of the read-out.
    n_queries
        Unlabelled queries of stage I.
    clip
        Bound of the standardised labels inside the attention.
    polish
        Whether to end without the subspace when that predicts better; without a `subspace` there is nothing
        to do.
    n_restarts
        Random starts of ``"newton"``; None chooses by the number of rows.
    random_state
        Seed, ``numpy.random.RandomState`` or None.

    Attributes
    ----------
    direction_
        Unit vector in the units of `X`, shape `(n_features,)`; the sign is a convention.
    directions_
        Orthonormal rows, shape `(n_directions, n_features)`.
    stages_
        One :class:`~testtime.single_index.pipeline.StageReport` per stage: rows, candidates, leave-one-out
        error, and overlap with the final direction.
    readout_
        The fitted :class:`~testtime.single_index.readout.Readout`.
    n_winsorized_
        Labels that were pulled in because they were far outside the rest and the link does not predict them.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 6))
    >>> beta = np.array([3, 0, 4, 0, 0, 0]) / 5
    >>> model = SingleIndexRegressor(random_state=0).fit(X, (X @ beta) ** 3)
    >>> bool(abs(model.direction_ @ beta) > 0.999)
    True
    >>> model.link(model.direction_ @ beta * np.array([1.0, 2.0])).round(2).tolist()
    [1.0, 8.0]
    """

    def __init__(
        self,
        *,
        subspace: Array | None = None,
        n_directions: int = 1,
        recipe: str = "practical",
        weak: str = "auto",
        strong: str = "auto",
        readout: str = "auto",
        degree: int = 5,
        width: int = 64,
        n_queries: int = 1000,
        clip: float = 3.0,
        polish: bool = True,
        n_restarts: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.subspace = subspace
        self.n_directions = n_directions
        self.recipe = recipe
        self.weak = weak
        self.strong = strong
        self.readout = readout
        self.degree = degree
        self.width = width
        self.n_queries = n_queries
        self.clip = clip
        self.polish = polish
        self.n_restarts = n_restarts
        self.random_state = random_state

    def settings(self) -> Settings:
        """Checked settings of the stages, every ``"auto"`` replaced.

        Raises
        ------
        InputError
            If a parameter is not one of its options or out of range.
        """
        names = (name for name in Settings.__dataclass_fields__)
        return Settings(**{name: getattr(self, name) for name in names}).resolved()

    def fit(self, X: Any, y: Any) -> SingleIndexRegressor:
        """Recover direction and link.

        Parameters
        ----------
        X
            Inputs, shape `(n_rows, n_features)`.
        y
            Labels, shape `(n_rows,)`.

        Raises
        ------
        InputError
            If a parameter is invalid, an entry is missing or infinite, all labels are equal, there are
            fewer rows than free parameters, or `subspace` is not an orthonormal basis of matching size.

        Warns
        -----
        UserWarning
            If labels are winsorised, or rows are too few to expect a reliable direction.
        """
        settings = self.settings()
        try:
            X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
            y = np.asarray(y, dtype=float)
        except ValueError as error:
            raise InputError(str(error)) from error
        subspace = checked_subspace(self.subspace, X.shape[1], settings.n_directions)
        prepared = prepare(X, y, subspace, settings)
        seed = self._seed()
        prepared, found = run_prepared([prepared], settings, seed)[0]
        for message in prepared.warnings:
            warnings.warn(message, UserWarning, stacklevel=2)
        return self._accept(prepared, found)

    def _seed(self) -> int:
        """Return the seed of all random choices of a fit."""
        try:
            return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        except ValueError as error:
            raise InputError(
                sentence(
                    f"random_state={self.random_state!r}",
                    expected="an integer from 0 to 2**32 - 1, a numpy.random.RandomState, or None",
                )
            ) from error

    def _accept(self, prepared: Prepared, found: ThreeStages) -> SingleIndexRegressor:
        """Set the fitted attributes."""
        self.n_features_in_ = prepared.X.shape[1]
        directions, mixing, shift = prepared.scaling.to_raw(found.directions)
        self.directions_ = directions
        self.direction_ = directions[0]
        self.stages_ = found.stages
        self.readout_ = found.readout
        self.n_winsorized_ = prepared.n_winsorized
        self._mixing, self._shift = mixing, shift
        self._label_mean, self._label_scale = prepared.scaling.label_mean, prepared.scaling.label_scale
        return self

    def predict(self, X: Any) -> Array:
        """Predict labels, shape `(n_rows,)`, for inputs of shape `(n_rows, n_features)`."""
        check_is_fitted(self)
        try:
            X = validate_data(self, X, dtype=np.float64, reset=False)
        except ValueError as error:
            raise InputError(str(error)) from error
        return self.link(X @ self.directions_.T)

    def link(self, z: Any) -> Array:
        r"""Evaluate the recovered link.

        Parameters
        ----------
        z
            Projections ``X @ direction_`` in the units of `X`, any shape; for several directions ``X @
            directions_.T``, shape `(..., n_directions)`.

        Returns
        -------
        Array
            Labels in the units of `y`, one per projection: ``predict(X)`` is ``link(X @ directions_.T)``.
        """
        check_is_fitted(self)
        z = np.asarray(z, dtype=float)
        n_directions = len(self.directions_)
        if n_directions == 1 and not (z.ndim == 2 and z.shape[1] == 1):
            shape = z.shape
        elif z.ndim and z.shape[-1] == n_directions:
            shape = z.shape[:-1]
        else:
            raise InputError(
                sentence(
                    f"projections of shape {z.shape}",
                    expected=f"(..., {n_directions})",
                    why="the link is a function of all directions",
                    remedy="Pass X @ model.directions_.T.",
                )
            )
        standard = z.reshape(-1, n_directions) @ self._mixing.T - self._shift
        return (self._label_mean + self._label_scale * self.readout_(standard)).reshape(shape)

    def plot_link(self, X: Any = None, y: Any = None, *, ax: Axes | None = None) -> Axes:
        """Draw the recovered link along the first direction, with the rows of `X` and `y` as dots if given.

        With two directions the second projection is held at 0 for the curve. Matplotlib is imported here;
        without `ax` a figure is made that no window manager knows of (``ax.figure.savefig(...)``).
        """
        check_is_fitted(self)
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(5, 3.5), layout="constrained").add_subplot()
        reach = 3.0 * float(np.linalg.norm(np.linalg.inv(self._mixing), ord=2))
        centre = np.linalg.solve(self._mixing, self._shift)
        if X is not None:
            projected = np.asarray(X, dtype=float) @ self.direction_
            low, high = projected.min(), projected.max()
            if y is not None:
                ax.plot(projected, np.asarray(y), ".", color="0.6", markersize=3, label="rows")
        else:
            low, high = centre[0] - reach, centre[0] + reach
        z = np.tile(centre, (400, 1))
        z[:, 0] = np.linspace(low, high, 400)
        ax.plot(z[:, 0], self.link(z), color="C0", label="recovered link")
        ax.set_xlabel("projection on the recovered direction")
        ax.set_ylabel("label")
        ax.legend(frameon=False)
        return ax
