"""Backbones by the name users pass."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from testtime.backbones.base import Backbone
from testtime.errors import InputError, nearest, sentence

__all__ = ["NAMES", "load_backbone", "load_saved_backbone"]

NAMES = ("embedded", "tabicl", "tabpfn")
"""Names; ``"embedded:1"`` takes the embedded weights of a generation, ``"tabicl:FILE"`` and ``"tabpfn:FILE"`` those
of a file, ``"tabpfn:v2"`` those of a version."""


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
            with _trainable():
                return name.load(task)
    with _trainable():
        return _named(name, task)


def _trainable() -> AbstractContextManager[Any]:
    """Load outside of a caller's inference mode: what is made in it is kept, and could never be trained."""
    import torch

    return torch.inference_mode(False)


def _named(name: Any, task: str) -> Backbone:
    """Return the backbone of a name; errors as in :func:`load_backbone`."""
    family, _, where = name.partition(":") if isinstance(name, str) else ("", "", "")
    if family == "embedded" and (not where or where.isdecimal()):
        from testtime.backbones.embedded import load_embedded

        return load_embedded(task, int(where)) if where else load_embedded(task)
    if family == "tabicl":
        from testtime.backbones.tabicl import TabICLBackbone

        return TabICLBackbone(where or None).load(task)
    if family == "tabpfn":
        from testtime.backbones.tabpfn import TabPFNBackbone

        return TabPFNBackbone.named(where).load(task)
    expected = (
        "one of "
        + ", ".join(map(repr, NAMES))
        + ", 'embedded:1', 'tabicl:FILE', 'tabpfn:FILE', or a backbone"
    )
    raise InputError(sentence(f"backbone={name!r}", expected=expected, remedy=nearest(str(name), NAMES)))


def load_saved_backbone(name: Any, task: str, fingerprint: str) -> Backbone:
    """Return the backbone that something saved was made with.

    Of the embedded models that is the generation with the same weights, whichever is the default by now.

    Parameters
    ----------
    name
        As it was saved.
    task
        "classifier" or "regressor".
    fingerprint
        SHA-256 of its weights.

    Raises
    ------
    InputError, BackboneError, MissingExtra
        As :func:`load_backbone`.
    """
    if isinstance(name, str) and name.partition(":")[0] == "embedded":
        from testtime.backbones.embedded import generation_of, load_embedded

        generation = generation_of(fingerprint, task)
        if generation is not None:
            with _trainable():
                return load_embedded(task, generation)
    return load_backbone(name, task)
