"""What all tests share: one thread, so that sums have one order, and a tiny stand-in for the embedded model."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from hypothesis import settings

from tests.support.models import load_tiny
from testtime.backbones import embedded
from testtime.backbones.embedded import EmbeddedBackbone
from testtime.experiments.figure import FigureResult, run
from testtime.experiments.registry import find

torch.set_num_threads(1)

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def tiny() -> EmbeddedBackbone:
    """A TabICL of 9,000 random weights behind the interface of the embedded backbone."""
    return load_tiny("classifier")


@pytest.fixture
def tiny_embedded(tiny: EmbeddedBackbone, monkeypatch: pytest.MonkeyPatch) -> EmbeddedBackbone:
    """Let ``backbone="embedded"`` mean the tiny model, so that what is tested is the code around the model."""
    monkeypatch.setattr(embedded, "load_embedded", load_tiny)
    return tiny


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FigureResult]:
    """Return a function that runs a figure by its name, or returns what it found before."""
    folder = tmp_path_factory.mktemp("figures")

    @functools.cache
    def run_once(name: str) -> FigureResult:
        figure = find(name)
        return run(figure, figure.config.quick(), folder)

    return run_once
