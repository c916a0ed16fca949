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

from testtime.adapt.episodes import deal_folds
from testtime.backbones.base import Encoded
from testtime.table.target_curve import is_skewed

__all__ = ["LinearPart", "Reduced", "cross_fitted", "has_logarithms", "levels_in_doubt"]

# Forms of a term; models of older versions have kept levels, which a new level does not put in doubt.
_FORMS = _NUMBER, _DRAWN_IN, _KEPT_LEVEL, _MISSING, _LEVEL, _LOGARITHM = range(6)
_PENALTIES = np.logspace(-4, 4, 17)
_PENALTY_ROWS = 2_000  # the penalty is chosen on these many
_MOST_TERMS = 300
_FEWEST_OF_LEVEL = 2  # a single row says nothing to others
_FEW_LEVELS, _OFTEN = 10, 5  # levels of a column at most, and rows of each: what a regression surely knows
_MULTIPLES = (
    1.0,
    10.0,
    100.0,
)  # of the penalty, for levels, so that those that say nothing cost the numbers little
_FEWEST_MISSING = 5
_WIDE = 3.0  # times the lowest value, from which on a logarithm says something else than the number
_LEAST_GAIN = 0.05  # of the squared error, by which logarithms must lower it
_LEAST_OWN = 1e-9  # of a row in its own error; less is rounding
_BEYOND = 0.5  # of a range at fit: no column counts as further outside it, and no answer is
_CONSTANT = 1e-12  # of the largest value; less is rounding
_ROWS_AT_ONCE = 4096
_N_FOLDS = 10


@dataclass(frozen=True, eq=False)
class LinearPart:
    r"""A linear function of terms of the columns.

    A number ``v`` gives the term ``(v - middle) / scale``; where it is skewed or heavy-tailed, also
    :math:`\operatorname{arsinh}((v - \text{middle}) / \text{scale})` about the median; and where it is positive and its
    highest value several times the lowest, perhaps :math:`(\log v - \text{middle}) / \text{scale}`, in which a product
    is a sum. Levels that several rows have, and missing values, give terms of 0 or 1; a missing number is in the
    middle, and other levels have no term.

    Attributes
    ----------
    intercept
        What is said where all terms are 0.
    bounds
        Lowest and highest answer, ``(2,)``.
    left
        Standard deviation of what the part leaves of the targets, which is the unit in which that is modelled.
    forms, places
        Of each term the form and the column, ``(K,)``.
    middles, scales
        Of each term, ``(K,)``; the middle of a level is its code, and those of a logarithm are logarithms.
    lows, highs
        Of each term, ``(K,)``: values of its column below or above count as these.
    weights
        Of each term, ``(K,)``.
    """

    intercept: float
    bounds: NDArray[np.float64]
    left: float
    forms: NDArray[np.int64]
    places: NDArray[np.int64]
    middles: NDArray[np.float64]
    scales: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    weights: NDArray[np.float64]

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the part says of encoded rows, ``(q,)``; columns beyond those it was fitted on are ignored."""
        said = np.full(len(x), self.intercept)
        for begin in range(0, len(x), _ROWS_AT_ONCE):
            piece = slice(begin, begin + _ROWS_AT_ONCE)
            # One term after the other: the last digits of a product of matrices depend on the number of rows.
            for values, weight in zip(self._values(x[piece]).T, self.weights, strict=True):
                said[piece] += weight * values
        return np.clip(said, *self.bounds)

    @property
    def has_logarithms(self) -> bool:
        """Whether a logarithm is among the terms."""
        return bool((self.forms == _LOGARITHM).any())

    def of_levels(self, x: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
        """What levels of the columns at some places add to encoded rows, ``(q,)``."""
        own = (self.forms == _LEVEL) & np.isin(self.places, places)
        return (x[:, self.places[own]] == self.middles[own]) @ self.weights[own]

    def to_arrays(self) -> dict[str, NDArray]:
        """Return what :meth:`from_arrays` takes."""
        numbers = np.array([self.intercept, *self.bounds, self.left])
        return {"numbers": numbers} | {name: getattr(self, name) for name in _OF_TERMS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray], n_columns: int) -> LinearPart | None:
        """Rebuild the part for rows of `n_columns` columns; None where these are the arrays of no part."""
        intercept, low, high, left = arrays["numbers"].tolist()
        own = {name: arrays[name] for name in _OF_TERMS}
        part = cls(intercept=intercept, bounds=np.array([low, high]), left=left, **own)
        of_columns = part.middles, part.scales, part.lows, part.highs, part.weights
        valid = (
            np.isfinite(np.concatenate([arrays["numbers"], *of_columns])).all()
            and low < high
            and left > 0
            and (part.scales > 0).all()
            and (part.lows <= part.highs).all()
            and np.isin(part.forms, _FORMS).all()
            and (part.lows[part.forms == _LOGARITHM] > 0).all()
            and ((part.places >= 0) & (part.places < n_columns)).all()
        )
        return part if valid else None

    def _values(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Terms of rows, ``(q, K)``."""
        given = x[:, self.places]
        bounded, logarithm = np.clip(given, self.lows, self.highs), self.forms == _LOGARITHM
        bounded[:, logarithm] = np.log(bounded[:, logarithm])
        values = np.nan_to_num((bounded - self.middles) / self.scales)
        drawn_in, missing = self.forms == _DRAWN_IN, self.forms == _MISSING
        level = np.isin(self.forms, (_KEPT_LEVEL, _LEVEL))
        values[:, drawn_in] = np.arcsinh(values[:, drawn_in])
        values[:, level] = given[:, level] == self.middles[level]
        values[:, missing] = np.isnan(given[:, missing])
        return values


_OF_TERMS = ("forms", "places", "middles", "scales", "lows", "highs", "weights")

_Term = tuple[int, int, float, float, float, float]
"""Form, column, middle, scale, lowest and highest value."""


def cross_fitted(
    encoded: Encoded,
    y: NDArray[np.float64],
    together: NDArray[np.int64] | None,
    seed: int,
    *,
    every_level: bool = True,
    logarithms: bool = False,
) -> tuple[LinearPart, NDArray[np.float64]]:
    """The linear part of all rows, and what parts of other rows say of each row, ``(N,)``.

    Rows of one code in `together` are not parted, so that copies of a row are told the same. Terms and penalty are
    those of all rows. Without `every_level`, only columns of a few levels that are all frequent have terms of levels.
    With `logarithms`, these are terms where the error on rows left out is then lower; beside numbers that say the same,
    they would take weight from these.
    """
    part = _without_weights(encoded, y, together, every_level=every_level)
    values = part._values(encoded.x)
    of_terms, error = _penalties(values, y, part.forms == _LEVEL, seed)
    if logarithms and has_logarithms(encoded):
        more = _without_weights(encoded, y, together, every_level=every_level, logarithms=True)
        of_more = more._values(encoded.x)
        penalties, least = _penalties(of_more, y, more.forms == _LEVEL, seed)
        if least < (1.0 - _LEAST_GAIN) * error:
            part, values, of_terms = more, of_more, penalties
    terms = np.column_stack([np.ones(len(y)), values])
    penalties = np.append(0.0, of_terms)  # none of the intercept
    gram, moments = terms.T @ terms, terms.T @ y

    def solved(own: NDArray[np.float64], of_own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights without the rows of these terms and targets."""
        system = gram - own.T @ own + np.diag(penalties)
        return cast("NDArray[np.float64]", np.linalg.solve(system, moments - own.T @ of_own))

    weights = solved(terms[:0], y[:0])
    part = replace(part, intercept=float(weights[0]), weights=weights[1:])
    said = part.predict(encoded.x)
    rng = np.random.default_rng(seed)
    n_units = len(y) if together is None else len(np.unique(together))
    if n_units > 1:
        for held in deal_folds(rng.permutation(len(y)), None, together, min(_N_FOLDS, n_units), rng):
            said[held] = np.clip(terms[held] @ solved(terms[held], y[held]), *part.bounds)
    return replace(part, left=float(np.std(y - said)) or 1.0), said


def levels_in_doubt(encoded: Encoded, together: NDArray[np.int64] | None) -> bool:
    """Tell whether a column has terms of levels only where every level may have one: it has many, or rare ones."""
    units = _units(encoded, together)
    found = [
        [any(_levels(encoded, place, units, every=every)) for every in (False, True)]
        for place in range(encoded.x.shape[1])
    ]
    return any(every and not surely for surely, every in found)


def has_logarithms(encoded: Encoded) -> bool:
    """Tell whether a column of numbers may have its logarithm as a term."""
    return any(True for place in range(encoded.x.shape[1]) for _ in _logarithms(encoded, place))


def _units(encoded: Encoded, together: NDArray[np.int64] | None) -> NDArray[np.int64]:
    return np.arange(len(encoded.x)) if together is None else together


def _without_weights(
    encoded: Encoded,
    y: NDArray[np.float64],
    together: NDArray[np.int64] | None,
    *,
    every_level: bool,
    logarithms: bool = False,
) -> LinearPart:
    """Terms and bounds of a part: of levels as many as there is room for, the most frequent ones."""
    places = range(encoded.x.shape[1])
    units = _units(encoded, together)
    levels = [one for place in places for one in _levels(encoded, place, units, every=every_level)]
    levels.sort(key=lambda one: -one[0])
    found = [term for place in places for term in _terms(encoded, place)]
    if logarithms:  # after all numbers: in a wide table they must not cost a column its only term
        found += [term for place in places for term in _logarithms(encoded, place)]
    found = [*found, *(term for _, term in levels)][:_MOST_TERMS]
    forms, places, middles, scales, lows, highs = np.array(found, dtype=np.float64).reshape(-1, 6).T
    room = _BEYOND * float(np.ptp(y))
    return LinearPart(
        intercept=0.0,
        bounds=np.array([y.min() - room, y.max() + room]),
        left=1.0,
        forms=forms.astype(np.int64),
        places=places.astype(np.int64),
        middles=middles,
        scales=scales,
        lows=lows,
        highs=highs,
        weights=np.zeros(len(found)),
    )


def _penalties(
    terms: NDArray[np.float64], y: NDArray[np.float64], of_levels: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], float]:
    """The penalty of each term, ``(K,)``, with the smallest error on rows left out one by one, and that error.

    Beside terms of another form, those of levels may have a larger one.
    """
    rows = np.random.default_rng(seed).permutation(len(y))[:_PENALTY_ROWS]
    multiples = _MULTIPLES if of_levels.any() and not of_levels.all() else _MULTIPLES[:1]
    best = np.inf, np.zeros(len(of_levels))
    for multiple in multiples:
        relative = np.where(of_levels, multiple, 1.0)
        errors = _errors_left_out(terms[rows] / np.sqrt(relative), y[rows])
        least = int(errors.argmin())
        best = min(best, (float(errors[least]), _PENALTIES[least] * relative), key=lambda tried: tried[0])
    return best[1], best[0]


def _errors_left_out(terms: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Mean squared error on rows left out one by one, for each of the penalties, ``(P,)``.

    What is left of a row grows by :math:`1 / (1 - h)` where it is left out, with its entry :math:`h` on the diagonal
    of the hat matrix (Golub, Heath and Wahba, 1979, Technometrics 21, section 2).
    """
    terms, y = terms - terms.mean(0), y - y.mean()
    values, axes = np.linalg.eigh(terms.T @ terms)
    turned = terms @ axes
    shrunk = 1.0 / (np.maximum(values, 0.0)[:, None] + _PENALTIES)  # (K, P)
    left = y[:, None] - turned @ (shrunk * (turned.T @ y)[:, None])
    own = 1.0 - 1.0 / len(y) - turned**2 @ shrunk
    return np.square(left / np.maximum(own, _LEAST_OWN)).mean(0)


def _terms(encoded: Encoded, place: int) -> Iterator[_Term]:
    """Terms of a column, without those of its levels."""
    given = encoded.x[:, place]
    missing = np.isnan(given)
    values = given[~missing]
    if not len(values):
        return
    if encoded.kinds[place] == "number":
        yield from _of_numbers(place, values)
    if missing.sum() >= _FEWEST_MISSING:
        yield _MISSING, place, 0.0, 1.0, 0.0, 0.0


def _levels(
    encoded: Encoded, place: int, units: NDArray[np.int64], *, every: bool
) -> Iterator[tuple[int, _Term]]:
    """How often levels of a column occur, and their terms, where that is often enough; rows of a unit count once."""
    if encoded.kinds[place] == "number":
        return
    pairs = np.unique(np.column_stack([units, encoded.x[:, place]]), axis=0)[:, 1]
    levels, counts = np.unique(pairs[~np.isnan(pairs)], return_counts=True)
    if not every and (len(levels) > _FEW_LEVELS or (counts < _OFTEN).any()):
        return
    for level, count in zip(levels, counts, strict=True):
        if count >= _FEWEST_OF_LEVEL:
            yield int(count), (_LEVEL, place, float(level), 1.0, float(level), float(level))


def _of_numbers(place: int, values: NDArray[np.float64]) -> Iterator[_Term]:
    """A term of numbers, and where they are skewed or heavy-tailed one with the tails drawn in."""
    low, high = float(values.min()), float(values.max())
    with np.errstate(over="ignore", invalid="ignore"):  # at the edge of what a float holds there is no term
        mean, spread = float(values.mean()), float(values.std())
        room = _BEYOND * (high - low)
        ends = low - room, high + room
    if not (np.isfinite([*ends, mean, spread]).all() and spread > _CONSTANT * max(abs(low), abs(high))):
        return
    yield _NUMBER, place, mean, spread, *ends
    if is_skewed((values - mean) / spread):
        middle = float(np.median(values))
        apart = np.abs(values - middle)
        scale = float(np.median(apart)) or float(apart.mean())
        if scale > _CONSTANT * spread:
            yield _DRAWN_IN, place, middle, scale, *ends


def _logarithms(encoded: Encoded, place: int) -> Iterator[_Term]:
    """The logarithm of a column of numbers that are positive and differ by a factor."""
    values = encoded.x[~np.isnan(encoded.x[:, place]), place]
    if encoded.kinds[place] != "number" or not len(values):
        return
    low, high = float(values.min()), float(values.max())
    room = _BEYOND * (high - low)
    if low > 0 and high > _WIDE * low and np.isfinite(high + room):
        logarithms = np.log(values)
        # Beyond the lowest at most half the range of the logarithms: half that of the numbers would be below zero.
        least = max(low - room, low * float(np.sqrt(low / high)), float(np.finfo(np.float64).tiny))
        yield _LOGARITHM, place, float(logarithms.mean()), float(logarithms.std()), least, high + room


@dataclass(frozen=True, eq=False)
class Reduced:
    """Targets that were reduced by their linear part, so that it can be taken out anew without some of the rows.

    Attributes
    ----------
    y
        The targets with their linear part, ``(N,)``.
    left
        The unit of what is left.
    together
        Codes of rows that are not parted, ``(N,)``, or None.
    draw
        Seed of the folds of the regression.
    every_level
        Whether columns of many or rare levels have terms, too.
    logarithms
        Whether logarithms of numbers may be terms.
    """

    y: NDArray[np.float64]
    left: float
    together: NDArray[np.int64] | None
    draw: int
    every_level: bool = True
    logarithms: bool = False

    def known_by(
        self, encoded: Encoded, known: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What parts of the known rows leave of all targets, and what they say, ``(N,)`` each.

        A known row is told what other known rows say, so that nothing of the others' targets is in it.
        """
        own = replace(encoded, x=encoded.x[known])
        together = None if self.together is None else self.together[known]
        part, crossed = cross_fitted(
            own,
            self.y[known],
            together,
            self.draw,
            every_level=self.every_level,
            logarithms=self.logarithms,
        )
        said = part.predict(encoded.x)
        said[known] = crossed
        return (self.y - said) / self.left, said
