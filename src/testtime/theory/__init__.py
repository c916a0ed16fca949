"""Exact theory of test-time training; NumPy and SciPy only.

:mod:`~testtime.theory.linear`
    One-layer linear attention: one step, its best size, where to start, how many rows (Gozeten et al., 2025).
:mod:`~testtime.theory.hermite`
    Coefficients and exponents of single-index links.
:mod:`~testtime.theory.sample_exponents`
    The same from rows ``(x, y)``.
:mod:`~testtime.theory.single_index`
    Orders of magnitude of the three-stage algorithm (Kuwataka and Suzuki, 2026).
:mod:`~testtime.theory.plan`
    A setting turned into advice.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = ("hermite", "linear", "plan", "sample_exponents", "single_index")

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    """Import a submodule the first time it is used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'testtime.theory' has no attribute {name!r}")
    return import_module(f"testtime.theory.{name}")
