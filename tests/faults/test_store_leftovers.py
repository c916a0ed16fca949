"""What killed writers left anywhere in a store: the next change removes it, and nothing of a writer who is alive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.adapters import save
from testtime import AdapterStore
from testtime.store.leftovers import beside


@pytest.fixture
def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def staged(target: Path, process: int) -> Path:
    """Make a folder as a writer stages it, or moves it out of the way to remove it."""
    own = beside(target)
    folder = own.with_name(own.name.replace(f"-{os.getpid()}-", f"-{process}-"))
    folder.mkdir(parents=True)
    (folder / "half").write_text("half")
    return folder


def test_the_next_change_removes_what_the_dead_left_and_nothing_of_the_living(tmp_path, dead):
    store, adapter = AdapterStore(tmp_path / "store"), tmp_path / "adapter"
    save(adapter, 1)
    store.add("a", adapter)
    places = [tmp_path / "store" / "names" / "b", tmp_path / "store" / "adapters" / ("0" * 64)]
    left, alive = [staged(place, dead) for place in places], [staged(place, os.getppid()) for place in places]
    (tmp_path / "again").mkdir()
    save(tmp_path / "again" / "adapter", 2)
    store.add("a", tmp_path / "again" / "adapter")
    assert not any(folder.exists() for folder in left)
    assert all((folder / "half").exists() for folder in alive)
    assert store.names() == ("a",)
    left = staged(places[0], dead)
    store.rollback("a")
    assert not left.exists()
