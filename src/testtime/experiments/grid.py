"""From a frozen configuration to a figure with checked claims: cells, seeds, table, drawing, manifest.

A figure is a table of cells. Every cell gets a seed made from the root seed and the cell's own id, so that
its rows do not depend on the order of the cells, on the number of workers, or on which cells were finished
by an earlier run. A finished cell is one file that appears at once; a run that was stopped goes on where
it ended.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from testtime.errors import InputError, sentence
from testtime.experiments.manifest import file_hash, strict_json, versions, write_atomic
from testtime.report.plots import figure_bytes, house_style
from testtime.results import Claim, Result

__all__ = ["Cell", "Figure", "FigureConfig", "FigureResult", "cell_seed", "config_hash", "run"]

_AFTER_THE_CELLS = ("testtime.experiments.claims", "testtime.experiments.drawing", "testtime.results")

Cell = dict[str, Any]
Rows = list[dict[str, Any]]


class FigureConfig(Protocol):
    """A frozen dataclass of plain values; ``Config()`` is the full setting."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def seed(self) -> int:
        """The root seed; every cell's seed is made from it."""
        ...

    @classmethod
    def quick(cls) -> FigureConfig:
        """Return the setting that takes less than a minute on two cores."""
        ...


@dataclass(frozen=True)
class Figure:
    """One figure: where it comes from, how its table is computed, what it claims, and how it is drawn.

    Attributes
    ----------
    name, title, source
        The name on the command line, one line of text, and the figure or section of the paper.
    config
        A frozen dataclass; see :class:`FigureConfig`.
    cells
        ``cells(config)`` lists JSON-able dictionaries, each with a unique string ``"id"``.
    run_cell
        ``run_cell(config, cell, seed)`` returns the rows of one cell; must be importable by worker
        processes.
    claims
        ``claims(table, config)`` returns the statements that are checked, each with its margin.
    draw
        ``draw(table, config)`` returns a :class:`matplotlib.figure.Figure`.
    """

    name: str
    title: str
    source: str
    config: type
    cells: Callable[[Any], list[Cell]]
    run_cell: Callable[[Any, Cell, np.random.SeedSequence], Rows]
    claims: Callable[[pd.DataFrame, Any], Sequence[Claim]]
    draw: Callable[[pd.DataFrame, Any], Any]


@dataclass(frozen=True)
class FigureResult(Result):
    """What a run made.

    Attributes
    ----------
    name
        The figure.
    holds
        Whether every claim holds.
    claims
        The statements, each with the measured number and its threshold.
    n_cells, n_computed
        Cells of the figure, and how many of them this run computed (the others were finished before).
    seconds
        Wall time of this run.
    paths
        The files, by their role: table, svg, png, claims, manifest.
    table
        All rows; not part of :meth:`to_dict`.
    """

    name: str
    holds: bool
    claims: tuple[Claim, ...]
    n_cells: int
    n_computed: int
    seconds: float
    paths: dict[str, str]
    table: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the table, which lies in the file ``paths["table"]``."""
        return {
            "name": self.name,
            "holds": self.holds,
            "claims": [claim.to_dict() for claim in self.claims],
            "n_cells": self.n_cells,
            "n_computed": self.n_computed,
            "seconds": self.seconds,
            "paths": dict(self.paths),
        }


def run(
    figure: Figure,
    config: FigureConfig,
    out_dir: str | Path,
    n_jobs: int = 1,
    backend: str = "joblib",
) -> FigureResult:
    """Compute what is missing of a figure, check its claims, and write table, drawing and manifest.

    Parameters
    ----------
    figure, config
        What to draw, and in which setting.
    out_dir
        The files go to ``out_dir/<name>/``, finished cells to ``out_dir/<name>/cells/<hash>/``.
    n_jobs
        Cells computed at the same time; -1 means one per core.
    backend
        ``"joblib"`` for joblib's own processes, or the name of any backend registered with joblib
        ("threading", or "ray" after ``ray.util.joblib.register_ray()``). Results do not depend on it.

    Returns
    -------
    FigureResult
        With all rows, all claims and the paths; a claim that fails does not raise.

    Raises
    ------
    InputError
        If two cells share an id, or `n_jobs` or `backend` cannot be used.
    """
    start = time.perf_counter()
    cells = figure.cells(config)
    _check_cells(figure, cells, n_jobs)
    folder = Path(out_dir) / figure.name
    key = config_hash(figure, config)
    paths = {cell["id"]: folder / "cells" / key / _file_name(cell["id"]) for cell in cells}
    finished = {cell["id"]: _read_cell(paths[cell["id"]], cell) for cell in cells}
    missing = [cell for cell in cells if finished[cell["id"]] is None]
    if missing:
        tasks = (
            joblib.delayed(_compute)(figure.run_cell, config, cell, paths[cell["id"]]) for cell in missing
        )
        for record in _workers(min(n_jobs, len(missing)), backend)(tasks):
            finished[record["cell"]["id"]] = record
    records: list[dict[str, Any]] = [record for record in finished.values() if record is not None]

    table = pd.DataFrame([row for record in records for row in record["rows"]])
    claims = tuple(figure.claims(table, config))
    with house_style():
        images = figure_bytes(figure.draw(table, config), title=f"{figure.title} ({figure.source})")
    contents = {
        "table": (f"{figure.name}.csv", table.to_csv(index=False).encode()),
        "svg": (f"{figure.name}.svg", images["svg"]),
        "png": (f"{figure.name}.png", images["png"]),
        "claims": ("claims.json", strict_json([claim.to_dict() for claim in claims])),
    }
    written = {role: write_atomic(folder / name, content) for role, (name, content) in contents.items()}
    seconds = time.perf_counter() - start
    manifest = {
        "figure": figure.name,
        "title": figure.title,
        "source": figure.source,
        "config": asdict(config),
        "config_hash": key,
        "versions": versions(),
        "files": {path.name: file_hash(path) for path in written.values()},
        "seconds": round(seconds, 3),
        "cells": [
            {
                "id": record["cell"]["id"],
                "seed": {"entropy": config.seed, "spawn_key": _spawn_key(record["cell"]["id"])},
                "seconds": record["seconds"],
                "sha256": file_hash(paths[record["cell"]["id"]]),
            }
            for record in records
        ],
    }
    written["manifest"] = write_atomic(folder / "manifest.json", strict_json(manifest))
    return FigureResult(
        name=figure.name,
        holds=all(claim.holds for claim in claims),
        claims=claims,
        n_cells=len(cells),
        n_computed=len(missing),
        seconds=seconds,
        paths={role: str(path) for role, path in written.items()},
        table=table,
    )


def cell_seed(root: int, cell_id: str) -> np.random.SeedSequence:
    """Return the seed of one cell: a child of the root seed, keyed by the sha256 of the cell's id.

    >>> cell_seed(0, "n=10").spawn_key == cell_seed(1, "n=10").spawn_key
    True
    """
    return np.random.SeedSequence(entropy=root, spawn_key=tuple(_spawn_key(cell_id)))


def config_hash(figure: Figure, config: FigureConfig) -> str:
    """Return 16 hex digits that change when the setting, the version or the code of the cells changes.

    The code is that of the figure's module, without the functions that check claims and draw (a better
    drawing does not ask for the computation again), and that of the modules of the library it takes names
    from. Comments do not count.
    """
    described = {
        "name": figure.name,
        "config": asdict(config),
        "version": versions().get("testtime", ""),
        "code": _code(figure.run_cell, (figure.claims.__name__, figure.draw.__name__)),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _code(run_cell: Callable[..., Any], without: tuple[str, ...]) -> list[str]:
    module = inspect.getmodule(run_cell)
    if module is None:
        return []
    taken = {getattr(value, "__module__", None) for value in vars(module).values()}
    library = {name for name in taken if isinstance(name, str) and name.startswith("testtime.")}
    used = library - {module.__name__, __name__, *_AFTER_THE_CELLS}
    others = [sys.modules[name] for name in used if not name.startswith("testtime.report")]
    return [_tree_hash(module, without), *sorted(_tree_hash(other, ()) for other in others)]


def _tree_hash(module: ModuleType, without: tuple[str, ...]) -> str:
    tree = ast.parse(inspect.getsource(module))
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name in without)
    ]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _spawn_key(cell_id: str) -> list[int]:
    digest = hashlib.sha256(cell_id.encode()).digest()
    return [int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4)]


def _file_name(cell_id: str) -> str:
    """Return a file name that a person can read and that no two ids share."""
    readable = "".join(letter if letter.isalnum() or letter in "=.-" else "_" for letter in cell_id)
    return f"{readable[:80]}-{hashlib.sha256(cell_id.encode()).hexdigest()[:8]}.json"


def _check_cells(figure: Figure, cells: Sequence[Cell], n_jobs: int) -> None:
    if n_jobs == 0 or n_jobs < -1:
        raise InputError(
            sentence(
                f"n_jobs={n_jobs}", expected="a positive number, or -1 for one per core", remedy="Pass 1"
            )
        )
    seen: set[str] = set()
    for cell in cells:
        if cell["id"] in seen:
            raise InputError(
                sentence(
                    f"two cells of figure {figure.name!r} have the id {cell['id']!r}",
                    why="the id names the file and the seed of a cell",
                    remedy="Give every cell its own id",
                )
            )
        seen.add(cell["id"])


def _workers(n_jobs: int, backend: str) -> joblib.Parallel:
    try:
        return joblib.Parallel(
            n_jobs=n_jobs, return_as="generator_unordered", backend=None if backend == "joblib" else backend
        )
    except ValueError as error:
        raise InputError(
            sentence(
                f"backend={backend!r}",
                expected="'joblib' or the name of a backend registered with joblib",
                remedy="Pass backend='joblib'",
            )
        ) from error


def _compute(run_cell: Callable[..., Rows], config: FigureConfig, cell: Cell, path: Path) -> dict[str, Any]:
    """Compute one cell and leave it on disk; runs in a worker."""
    start = time.perf_counter()
    with threadpool_limits(limits=1):  # the sum of a BLAS product depends on the number of threads
        rows = run_cell(config, cell, cell_seed(config.seed, cell["id"]))
    record = {"cell": cell, "rows": rows, "seconds": round(time.perf_counter() - start, 3)}
    text = json.dumps(record, default=_plain_number)
    write_atomic(path, text.encode())
    return json.loads(text)  # what a later run would read, so that a resumed table is the same to the bit


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        f"a row of a figure holds a {type(value).__name__}; rows hold numbers, strings and booleans"
    )


def _read_cell(path: Path, cell: Cell) -> dict[str, Any] | None:
    """Return a finished cell, or None if it is missing, damaged, or was computed for something else."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    same = isinstance(record, dict) and record.get("cell") == json.loads(json.dumps(cell))
    return record if same and {"rows", "seconds"} <= record.keys() else None
