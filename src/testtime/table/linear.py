r"""The linear part of a numeric target: what a ridge regression on the columns says.

A small in-context learner resolves a few hundredths of a target's spread and no more. Where the target is nearly a
linear function of the columns (a total of its parts, a share, last year's value), a ridge regression (Hoerl and
Kennard, 1970, "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics 12) is exact, and what it
leaves is what there is to learn in context. Whether that helps is measured elsewhere; here is what the part is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge, RidgeCV

from testtime.adapt.episodes import deal_folds
from testtime.backbones.base import Encoded

__all__ = ["LinearPart", "cross_fitted"]

_NUMBER, _DRAWN_IN, _LEVEL, _MISSING = range(4)  # forms of a term
_PENALTIES = np.logspace(-4, 4, 17)
_MOST_LEVELS, _FEWEST_OF_LEVEL = 30, 5
_FEWEST_MISSING = 5
_SKEWED, _HEAVY = (
    1.0,
    3.0,
)  # skewness and excess kurtosis from which a column has a term with its tails drawn in
_BEYOND = 0.5  # of the range of the targets of fit; no answer is further outside it
_MOST = 1e9  # of a term before it is weighted
_ROWS_AT_ONCE = 4096
_N_FOLDS = 10


@dataclass(frozen=True, eq=False)
class LinearPart:
    r"""A linear function of terms of the columns.

    A number ``v`` gives the term ``(v - middle) / scale``; where it is skewed or heavy-tailed, also
    :math:`\operatorname{arsinh}((v - \text{middle}) / \text{scale})` about the median. A level that is not rare and
    missing values give terms of 0 or 1; a missing number is in the middle.

    Attributes
    ----------
    intercept
        What is said where all terms are 0.
    bounds
        Lowest and highest answer, ``(2,)``.
    forms, places
        Of each term the form and the column, ``(K,)``.
    middles, scales
        Of each term, ``(K,)``; the middle of a level is its code.
    weights
        Of each term, ``(K,)``.
    penalty
        They were fitted with.
    """

    intercept: float
    bounds: NDArray[np.float64]
    forms: NDArray[np.int64]
    places: NDArray[np.int64]
    middles: NDArray[np.float64]
    scales: NDArray[np.float64]
    weights: NDArray[np.float64]
    penalty: float

    @classmethod
    def fit(cls, encoded: Encoded, y: NDArray[np.float64], penalty: float | None = None) -> LinearPart:
        """Fit targets ``(N,)`` of encoded rows.

        Parameters
        ----------
        penalty
            Of the squared weights; None takes the one with the smallest error on rows left out one by one.
        """
        terms = [term for place in range(encoded.x.shape[1]) for term in _terms(encoded, place)]
        forms, places, middles, scales = np.array(terms, dtype=np.float64).reshape(-1, 4).T
        room = _BEYOND * float(np.ptp(y))
        blank = cls(
            intercept=0.0,
            bounds=np.array([y.min() - room, y.max() + room]),
            forms=forms.astype(np.int64),
            places=places.astype(np.int64),
            middles=middles,
            scales=scales,
            weights=np.zeros(len(terms)),
            penalty=0.0,
        )
        if not terms:
            return replace(blank, intercept=float(y.mean()))
        values = blank._values(encoded.x)
        if penalty is None:
            penalty = float(cast("float", RidgeCV(_PENALTIES).fit(values, y).alpha_))
        model = Ridge(penalty).fit(values, y)
        return replace(blank, intercept=float(model.intercept_), weights=model.coef_, penalty=penalty)

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the part says of encoded rows, ``(q,)``; columns beyond those it was fitted on are ignored."""
        said = [  # no matrix product, whose last digits depend on the number of rows
            (self._values(x[begin : begin + _ROWS_AT_ONCE]) * self.weights).sum(1)
            for begin in range(0, len(x), _ROWS_AT_ONCE)
        ]
        return np.clip(self.intercept + np.concatenate([*said, np.empty(0)]), *self.bounds)

    def to_arrays(self) -> dict[str, NDArray]:
        """Return what :meth:`from_arrays` takes."""
        numbers = np.array([self.intercept, *self.bounds, self.penalty])
        return {"numbers": numbers} | {name: getattr(self, name) for name in _OF_TERMS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], n_columns: int) -> LinearPart | None:
        """Rebuild the part for rows of `n_columns` columns; None where these are the arrays of no part."""
        intercept, low, high, penalty = arrays["numbers"].tolist()
        own = {name: arrays[name] for name in _OF_TERMS}
        part = cls(intercept=intercept, bounds=np.array([low, high]), penalty=penalty, **own)
        numbers = np.concatenate([arrays["numbers"], part.middles, part.scales, part.weights])
        valid = (
            np.isfinite(numbers).all()
            and low < high
            and (part.scales > 0).all()
            and np.isin(part.forms, (_NUMBER, _DRAWN_IN, _LEVEL, _MISSING)).all()
            and ((part.places >= 0) & (part.places < n_columns)).all()
        )
        return part if valid else None

    def _values(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Terms of rows, ``(q, K)``."""
        given = x[:, self.places]
        with np.errstate(over="ignore"):  # at the edge of what a float holds
            values = np.clip(np.nan_to_num((given - self.middles) / self.scales), -_MOST, _MOST)
        drawn_in, level, missing = (self.forms == form for form in (_DRAWN_IN, _LEVEL, _MISSING))
        values[:, drawn_in] = np.arcsinh(values[:, drawn_in])
        values[:, level] = given[:, level] == self.middles[level]
        values[:, missing] = np.isnan(given[:, missing])
        return values


_OF_TERMS = ("forms", "places", "middles", "scales", "weights")


def _terms(encoded: Encoded, place: int) -> Iterator[tuple[int, int, float, float]]:
    """Forms, column, middles and scales of the terms of a column."""
    given = encoded.x[:, place]
    missing = np.isnan(given)
    values = given[~missing]
    if encoded.kinds[place] == "number":
        spread = float(values.std()) if len(values) else 0.0
        if spread > 0 and np.isfinite(spread):
            yield _NUMBER, place, float(values.mean()), spread
            yield from _drawn_in(place, values, (values - values.mean()) / spread)
    else:
        levels, counts = np.unique(values, return_counts=True)
        for level in np.argsort(-counts, kind="stable")[:_MOST_LEVELS]:
            if counts[level] >= _FEWEST_OF_LEVEL:
                yield _LEVEL, place, float(levels[level]), 1.0
    if missing.sum() >= _FEWEST_MISSING and len(values):
        yield _MISSING, place, 0.0, 1.0


def _drawn_in(
    place: int, values: NDArray[np.float64], u: NDArray[np.float64]
) -> Iterator[tuple[int, int, float, float]]:
    """A term with the tails drawn in, for standardised values `u` that are skewed or heavy-tailed."""
    if abs((u**3).mean()) > _SKEWED or (u**4).mean() - 3.0 > _HEAVY:
        middle = float(np.median(values))
        apart = np.abs(values - middle)
        scale = float(np.median(apart)) or float(apart.mean())
        if scale > 0:
            yield _DRAWN_IN, place, middle, scale


def cross_fitted(
    encoded: Encoded, y: NDArray[np.float64], together: NDArray[np.int64] | None, seed: int
) -> tuple[LinearPart, NDArray[np.float64]]:
    """The linear part of all rows, and what parts of other rows say of each row, ``(N,)``.

    Rows of one code in `together` are not parted, so that copies of a row are told the same. The penalty is that of all
    rows.
    """
    part = LinearPart.fit(encoded, y)
    rng = np.random.default_rng(seed)
    said = part.predict(encoded.x)
    n_units = len(y) if together is None else len(np.unique(together))
    if n_units < 2:
        return part, said
    for held in deal_folds(rng.permutation(len(y)), None, together, min(_N_FOLDS, n_units), rng):
        outside = np.setdiff1d(np.arange(len(y)), held)
        other = LinearPart.fit(replace(encoded, x=encoded.x[outside]), y[outside], part.penalty)
        said[held] = other.predict(encoded.x[held])
    return part, said
