"""A link as the theory needs it: pointwise, deterministic and finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence

__all__ = ["PointwiseLink"]

Array = NDArray[np.float64]

_POINTS = np.linspace(-12.0, 12.0, 97)
_DAMPING = np.exp(-(_POINTS**2) / 4)  # root of the Gaussian density: squares are what is integrated


class PointwiseLink:
    """A checked link: takes one array of points, returns finite float64 values of the same shape.

    Callables that only take one number at a time are looped over. ``eps`` is the relative precision of the
    values, larger than float64's when the callable returns single precision. Values are divided by ``unit``, a
    power of two (exact) near the size of the link under the Gaussian, so that their squares neither overflow nor
    vanish.
    """

    def __init__(self, link: Callable[[Any], Any]):
        if not callable(link):
            raise InputError(
                sentence(
                    f"link={link!r} of type {type(link).__name__}",
                    expected="a callable of one number or array",
                    remedy="Pass for example numpy.tanh or lambda z: z**3 - 3*z.",
                )
            )
        self._link = link
        probe = np.array([-1.3, -0.2, 0.4, 2.1])
        self.eps = float(np.finfo(float).eps)
        values = self._try_vectorised(probe)
        self.vectorised = values is not None
        if values is None:
            values = self._one_by_one(probe)
            again = self._one_by_one(probe)
        else:
            with np.errstate(all="ignore"):
                again = np.concatenate([self._as_floats(link(point.copy()), 1) for point in probe[:, None]])
        agree = np.isclose(values, again, rtol=max(1e-9, 100 * self.eps), atol=1e-12, equal_nan=True)
        if not agree.all():
            raise InputError(
                sentence(
                    f"the link gave {values[~agree][0]:.6g}, then {again[~agree][0]:.6g} at the same point",
                    expected="a deterministic function of each point alone",
                    why="an expectation over z is taken point by point",
                )
            )

        self.unit = 1.0
        size = float(np.max(np.nan_to_num(np.abs(self.unchecked(_POINTS)), posinf=0.0) * _DAMPING))
        if size > 0:
            self.unit = float(np.ldexp(1.0, np.frexp(size)[1] - 1))

    def _try_vectorised(self, probe: Array) -> Array | None:
        try:
            with np.errstate(all="ignore"):
                raw = np.asarray(self._link(probe.copy()))
            values = self._as_floats(raw, len(probe))
        except Exception:  # of the caller's code; what it raises for one number alone is told
            return None
        if raw.dtype in (np.float32, np.float16):
            self.eps = float(np.finfo(raw.dtype).eps)
        return values

    @staticmethod
    def _as_floats(raw: Any, size: int) -> Array:
        values = np.asarray(raw)
        if values.shape != (size,) or values.dtype.kind not in "fiub":
            raise TypeError("not one real number per point")
        return values.astype(float)

    def _one_by_one(self, z: Array) -> Array:
        out = np.empty(z.shape)
        for i, point in enumerate(z.tolist()):
            try:
                value = self._link(point)
                if np.iscomplexobj(value):
                    raise TypeError(f"{value} is complex")
                out[i] = value
            except Exception as error:
                raise InputError(
                    sentence(
                        f"the link fails at z={point:.6g} with {type(error).__name__}: {error}",
                        expected="one real number for every real z",
                    )
                ) from error
        return out

    def __call__(self, z: Array) -> Array:
        """Values at the points `z` (one axis); refuses a value that is not finite."""
        values = self.unchecked(z)
        bad = ~np.isfinite(values)
        if bad.any():
            raise InputError(
                sentence(
                    f"link({z[bad][0]:.6g}) = {values[bad][0]}",
                    expected="a finite value for every real z",
                    why="the inputs are Gaussian and reach every z",
                )
            )
        return values

    def unchecked(self, z: Array) -> Array:
        """Values at the points `z`, non-finite ones included."""
        if not z.size:  # numpy.vectorize refuses no points
            return np.empty(0)
        if not self.vectorised:
            return self._one_by_one(z) / self.unit
        try:
            with np.errstate(all="ignore"):
                return self._as_floats(self._link(z.copy()), len(z)) / self.unit
        except Exception:  # at points that were not tried before; the first of them is named
            return self._one_by_one(z) / self.unit
