"""The figures by name; a module is imported only when its figure is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    from testtime.experiments.grid import Figure

__all__ = ["FIGURES", "find", "names", "registry"]

FIGURES = {
    **{
        module.replace("_", "-"): module
        for module in (
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
    },
    "gpt2-links": "in_context.links",
    "gpt2-fixed-link": "in_context.fixed_link",
    "gpt2-dimension": "in_context.dimension",
    "gpt2-shift": "in_context.shift",
    "gpt2-variants": "in_context.variants",
}
"""Name of each figure, and its module in this package."""


def names() -> tuple[str, ...]:
    """Return the names of all figures, without importing any of them.

    >>> names()[0]
    'linear-context'
    """
    return tuple(FIGURES)


def find(name: str) -> Figure:
    """Return one figure by its name.

    Raises
    ------
    InputError
        If there is no such figure; the nearest name is offered.
    """
    if name not in FIGURES:
        raise InputError(sentence(f"there is no figure named {name!r}", remedy=nearest(name, names())))
    return import_module(f"testtime.experiments.{FIGURES[name]}").FIGURE


def registry() -> dict[str, Figure]:
    """Return every figure by its name."""
    return {name: find(name) for name in names()}
