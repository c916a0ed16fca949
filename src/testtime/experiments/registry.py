"""The figures by name; a module is imported only when its figure is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    from testtime.experiments.figure import Figure

__all__ = ["find", "names", "registry"]

_ROOMS = {
    "linear": ("linear", ("context", "start", "alignment", "covariance", "steps", "reduction", "shift")),
    "tabular": ("tabular", ("context", "shift")),
    "single-index": (
        "single_index",
        ("context", "dimension", "stage1", "stage2", "literal", "fixed_link", "shift", "multi", "joint"),
    ),
    "gpt2": ("in_context", ("links", "fixed_link", "dimension", "shift", "variants")),
}
_MODULES = {
    f"{prefix}-{figure}".replace("_", "-"): f"testtime.experiments.{room}.{figure}"
    for prefix, (room, figures) in _ROOMS.items()
    for figure in figures
}


def names() -> tuple[str, ...]:
    """Return the names of all figures, without importing any of them.

    >>> names()[0]
    'linear-context'
    """
    return tuple(_MODULES)


def find(name: str) -> Figure:
    """Return one figure by its name.

    Raises
    ------
    InputError
        If there is no such figure; the nearest name is offered.
    """
    if name.replace("_", "-") not in _MODULES:
        raise InputError(sentence(f"there is no figure named {name!r}", remedy=nearest(name, names())))
    return import_module(_MODULES[name.replace("_", "-")]).FIGURE


def registry() -> dict[str, Figure]:
    """Return every figure by its name."""
    return {name: find(name) for name in names()}
