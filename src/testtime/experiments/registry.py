"""The figures by name; a module is imported only when its figure is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    from testtime.experiments.grid import Figure

__all__ = ["FIGURE_MODULES", "find", "names", "registry"]

FIGURE_MODULES = (
    "linear_context",
    "linear_start",
    "linear_alignment",
    "linear_covariance",
    "linear_steps",
    "linear_reduction",
    "single_index_context",
    "single_index_dimension",
    "single_index_stage1",
    "single_index_fixed_link",
    "single_index_shift",
    "single_index_multi",
)


def names() -> tuple[str, ...]:
    """Return the names of all figures, without importing any of them.

    >>> names()[0]
    'linear-context'
    """
    return tuple(module.replace("_", "-") for module in FIGURE_MODULES)


def find(name: str) -> Figure:
    """Return one figure by its name.

    Raises
    ------
    InputError
        If there is no such figure; the nearest name is offered.
    """
    module = name.replace("-", "_")
    if module not in FIGURE_MODULES:
        raise InputError(sentence(f"there is no figure named {name!r}", remedy=nearest(name, names())))
    return import_module(f"testtime.experiments.{module}").FIGURE


def registry() -> dict[str, Figure]:
    """Return every figure by its name."""
    return {name: find(name) for name in names()}
