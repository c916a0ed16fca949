"""Backbones by the name users pass."""

from __future__ import annotations

from typing import Any

from testtime.backbones.base import Backbone
from testtime.errors import InputError, nearest, sentence

__all__ = ["load_backbone"]

_NAMES = ("embedded",)


def load_backbone(name: Any, task: str) -> Backbone:
    """Return the backbone called `name`.

    Parameters
    ----------
    name
        As users pass it, or a backbone of their own, which is returned as it is.
    task
        "classifier" or "regressor".

    Raises
    ------
    InputError
        For a name that is not known.
    """
    if not isinstance(name, str) and hasattr(name, "learner") and hasattr(name, "views"):
        return name
    if name == "embedded":
        from testtime.backbones.embedded import load_embedded

        return load_embedded(task)
    expected = "one of " + ", ".join(map(repr, _NAMES))
    raise InputError(sentence(f"backbone={name!r}", expected=expected, remedy=nearest(str(name), _NAMES)))
