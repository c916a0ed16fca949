"""Test-time training of in-context learners: a front door that loads nothing until it is used (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_LAZY = {
    "TTTClassifier": "testtime.estimators.classifier",
    "TTTRegressor": "testtime.estimators.regressor",
    "adapt_groups": "testtime.scale.groups.adapt",
    "load": "testtime.estimators.saved",
    "plan_table": "testtime.estimators.planning",
    "AdapterStore": "testtime.scale.adapter_store",
    "SingleIndexRegressor": "testtime.single_index.regressor",
    "theory": "testtime.theory",
    "Status": "testtime.results",
    "Adaptation": "testtime.results",
    "TestTimeError": "testtime.errors",
    "InputError": "testtime.errors",
    "BackboneError": "testtime.errors",
    "StoreError": "testtime.errors",
    "MissingExtra": "testtime.errors",
}

__all__ = [
    "Adaptation",
    "AdapterStore",
    "BackboneError",
    "InputError",
    "MissingExtra",
    "SingleIndexRegressor",
    "Status",
    "StoreError",
    "TTTClassifier",
    "TTTRegressor",
    "TestTimeError",
    "__version__",
    "adapt_groups",
    "load",
    "plan_table",
    "theory",
]


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'testtime' has no attribute {name!r}")
    module = import_module(_LAZY[name])
    value = module if _LAZY[name].endswith("." + name) else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from testtime import theory
    from testtime.errors import BackboneError, InputError, MissingExtra, StoreError, TestTimeError
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.planning import plan_table
    from testtime.estimators.regressor import TTTRegressor
    from testtime.estimators.saved import load
    from testtime.results import Adaptation, Status
    from testtime.scale.adapter_store import AdapterStore
    from testtime.scale.groups.adapt import adapt_groups
    from testtime.single_index.regressor import SingleIndexRegressor
