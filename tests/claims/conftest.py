"""What the tests of claims share: each figure in its quick setting, run once."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from testtime.experiments.grid import FigureResult, run
from testtime.experiments.registry import find


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FigureResult]:
    """Return a function that runs a figure by its name, or returns what it found before."""
    folder = tmp_path_factory.mktemp("figures")

    @functools.cache
    def run_once(name: str) -> FigureResult:
        figure = find(name)
        return run(figure, figure.config.quick(), folder)

    return run_once
