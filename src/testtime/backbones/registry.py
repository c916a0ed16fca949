"""Backbones by the name users pass."""

from __future__ import annotations

from typing import Any

from testtime.backbones.base import Backbone
from testtime.errors import InputError, nearest, sentence

__all__ = ["NAMES", "load_backbone"]

NAMES = ("embedded", "tabicl", "tabpfn")
"""Names; ``"tabicl:FILE"`` and ``"tabpfn:FILE"`` take the weights of a file, ``"tabpfn:v2"`` those of a version."""


def load_backbone(name: Any, task: str) -> Backbone:
    """Return the backbone called `name`.

    Parameters
    ----------
    name
        As users pass it: one of :data:`NAMES`, an object with ``load(task)`` such as
        :class:`testtime.backbones.tabicl.TabICLBackbone`, or a backbone, which is returned as it is.
    task
        "classifier" or "regressor".

    Raises
    ------
    InputError
        For a name that is not known.
    BackboneError
        When the weights cannot be used.
    MissingExtra
        When the package of the model is not installed.
    """
    if not isinstance(name, str):
        if hasattr(name, "learner") and hasattr(name, "views"):
            return name
        if hasattr(name, "load") and not isinstance(name, type):
            return name.load(task)
    family, _, where = name.partition(":") if isinstance(name, str) else ("", "", "")
    if family == "embedded" and not where:
        from testtime.backbones.embedded import load_embedded

        return load_embedded(task)
    if family == "tabicl":
        from testtime.backbones.tabicl import TabICLBackbone

        return TabICLBackbone(where or None).load(task)
    if family == "tabpfn":
        from testtime.backbones.tabpfn import TabPFNBackbone

        return TabPFNBackbone.named(where).load(task)
    expected = "one of " + ", ".join(map(repr, NAMES)) + ", 'tabicl:FILE', 'tabpfn:FILE', or a backbone"
    raise InputError(sentence(f"backbone={name!r}", expected=expected, remedy=nearest(str(name), NAMES)))
