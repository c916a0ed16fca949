"""The three-stage nonlinear algorithm as one regressor; names load when they are used (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_LAZY = {
    "SingleIndexRegressor": "testtime.single_index.regressor",
    "fit_many": "testtime.single_index.many",
    "literal_stages": "testtime.single_index.literal",
    "pretrain_family": "testtime.single_index.pretrain",
}

__all__ = ["SingleIndexRegressor", "fit_many", "literal_stages", "pretrain_family"]


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'testtime.single_index' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from testtime.single_index.literal import literal_stages
    from testtime.single_index.many import fit_many
    from testtime.single_index.pretrain import pretrain_family
    from testtime.single_index.regressor import SingleIndexRegressor
