"""A table of several groups, each with its own line to learn, and what its workers run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.support.tables import linear_table
from testtime import AdapterStore, TTTClassifier
from testtime.store import open_adapter

SIZES = {"a": 80, "b": 96, "c": 72, "few": 20, "one class": 70}


def grouped_table(sizes: Mapping[str, int] = SIZES) -> pd.DataFrame:
    """Groups in a column "shop", mixed with each other; the target is "y"."""
    frames = []
    for seed, (name, n_rows) in enumerate(sizes.items()):
        frame, y = linear_table(n_rows, seed=seed)
        frames.append(frame.assign(shop=name, y=0 if name == "one class" else y))
    table = pd.concat(frames, ignore_index=True)
    return table.iloc[np.random.default_rng(0).permutation(len(table))].reset_index(drop=True)


def quick(**params: Any) -> TTTClassifier:
    """An estimator that takes one step with one adapter."""
    return TTTClassifier(**{"n_steps": 1, "n_members": 1, **params})


def payloads(store: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Names of the files of every adapter, which hold their hashes; not of the manifest, which holds seconds."""
    opened, found = AdapterStore(store), {}
    for version in opened.list():
        with opened.folder(version.name) as folder, open_adapter(folder) as saved:
            found[version.name] = {name: "" for name in saved.contents() if "-" in name}
    return found


class DiesOnce:
    """A value whose repr ends the process that asks for it: the first time, or every time."""

    def __init__(self, mark: Path, *, always: bool = False) -> None:
        self.mark, self.always, self.here = mark, always, os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        return _die, (str(self.mark), self.always, self.here)


def _die(mark: str, always: bool, home: int) -> str:
    """Stand in the place of the value when a worker unpickles it."""
    if os.getpid() != home and (always or not Path(mark).exists()):
        Path(mark).touch()
        os._exit(9)
    return "alive"
