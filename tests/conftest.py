"""What all tests share: one thread, so that sums have one order, and a tiny stand-in for the embedded model."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testtime.backbones.embedded import EmbeddedBackbone
    from testtime.experiments.figure import FigureResult

_MOST_WORKERS = 4  # each holds torch and a few models, about a gigabyte


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return what ``-n auto`` means: the cores this process may use, but no more than memory is likely to allow."""
    return min(
        _MOST_WORKERS,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Settle threads and examples before the tests are imported, which read the settings of examples.

    Not at the top of this file: the process that only hands tests to others would load torch before it starts them.
    """
    if session.config.getoption("dist", "no") != "no":
        return
    import torch
    from hypothesis import settings

    torch.set_num_threads(1)
    settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
    settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def tiny() -> EmbeddedBackbone:
    """A TabICL of 9,000 random weights behind the interface of the embedded backbone."""
    from tests.support.models import load_tiny

    return load_tiny("classifier")


@pytest.fixture
def tiny_embedded(tiny: EmbeddedBackbone, monkeypatch: pytest.MonkeyPatch) -> EmbeddedBackbone:
    """Let ``backbone="embedded"`` mean the tiny model, so that what is tested is the code around the model."""
    from tests.support.models import load_tiny
    from testtime.backbones import embedded

    monkeypatch.setattr(embedded, "load_embedded", load_tiny)
    return tiny


@pytest.fixture(scope="module")
def tiny_throughout(tiny: EmbeddedBackbone) -> Iterator[EmbeddedBackbone]:
    """The same for all tests of a file, so that a model can be made once for them."""
    from tests.support.models import load_tiny
    from testtime.backbones import embedded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "load_embedded", load_tiny)
        yield tiny


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FigureResult]:
    """Return a function that runs a figure by its name, or returns what it found before.

    Test processes share the folder: a run that finds the cells of another one there computes none.
    """
    from filelock import FileLock

    from testtime.experiments.figure import run
    from testtime.experiments.registry import find

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "figures"
    folder.mkdir(exist_ok=True)

    @functools.cache
    def run_once(name: str) -> FigureResult:
        figure = find(name)
        with FileLock(folder / f"{name}.lock"):
            return run(figure, figure.config.quick(), folder)

    return run_once
