"""What kind and shape each array must have: names of axes that must agree across arrays.

A right hash does not say that 100 rows of context come with 100 labels; a form does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from testtime.store.records import damaged

__all__ = ["Form", "check_forms"]


@dataclass(frozen=True)
class Form:
    """Kinds and shape of an array.

    Attributes
    ----------
    kinds
        Letters of :attr:`numpy.dtype.kind` that are accepted: ``"f"`` real numbers, ``"iu"`` integers, ``"b"``
        booleans, ``"OU"`` labels.
    shape
        Length of each axis: a number, or a name that stands for the same length in all arrays.
    """

    kinds: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.shape))})"


def check_forms(
    arrays: Mapping[str, np.ndarray], forms: Mapping[str, Form], sizes: Mapping[str, int], where: str
) -> None:
    """Raise unless there are exactly the arrays of `forms`, each as its form says.

    Parameters
    ----------
    arrays, forms
        By name.
    sizes
        Lengths of axes that are known before, by name; other names are bound where they are met first.
    where
        What to call the adapter in a message.

    Raises
    ------
    StoreError
        Naming the first array that is missing, unknown, or of another kind or shape.

    >>> x, y = np.zeros((3, 2)), np.zeros(3)
    >>> check_forms({"x": x, "y": y}, {"x": Form("f", ("n", "d")), "y": Form("f", ("n",))}, {"d": 2}, "'model'")
    """
    for name in forms.keys() ^ arrays.keys():
        raise damaged(where, f"the array {name[:60]!r} is {'missing' if name in forms else 'unknown'}")
    bound = dict(sizes)
    for name, form in forms.items():
        array = arrays[name]
        if array.dtype.kind not in form.kinds:
            raise damaged(where, f"the array {name!r} has the type {array.dtype}")
        wanted = tuple(
            bound.setdefault(axis, length) if isinstance(axis, str) else axis
            for axis, length in zip(form.shape, array.shape, strict=False)
        )
        if array.ndim != len(form.shape) or array.shape != wanted:
            known = {axis: bound[axis] for axis in form.shape if axis in bound}
            said = "".join(f", {axis}={length:,}" for axis, length in known.items())
            raise damaged(where, f"the array {name!r} has the shape {array.shape} instead of {form}{said}")
