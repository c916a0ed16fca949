"""A model whose time passes as a test says."""

from __future__ import annotations

import pytest

from tests.support.line import Clock
from testtime.backbones.base import Backbone
from testtime.backbones.embedded import load_embedded


def with_slow_views(task: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Backbone, Clock]:
    """The embedded model, each of whose views takes so many seconds of the clock that is returned."""
    backbone, clock = load_embedded(task), Clock()
    views = backbone.views

    def slow(*arguments):
        clock.spend(seconds)
        return views(*arguments)

    monkeypatch.setattr(backbone, "views", slow)
    return backbone, clock
