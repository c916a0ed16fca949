"""Fits that leave out one of the choices of :mod:`testtime.table.reading`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from testtime.table import reading
from testtime.table.choose_linear import Modelled


@contextmanager
def without_keys() -> Iterator[None]:
    """Let fits look for no columns that name something together."""
    own = reading.choose_keys
    reading.choose_keys = lambda levels, rows, *_, **__: (levels, rows, "")
    try:
        yield
    finally:
        reading.choose_keys = own


@contextmanager
def without_linear_part() -> Iterator[None]:
    """Let fits take no linear part out of a target."""
    own = reading.choose_linear
    reading.choose_linear = lambda scales, *_, **__: (Modelled(*scales[0]), None)
    try:
        yield
    finally:
        reading.choose_linear = own
