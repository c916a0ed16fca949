"""A map over cells that goes on where it was stopped: one cell, one seed, one file.

Every cell gets a seed made from the root seed and the cell's own id, so that its rows do not depend on the order of
the cells, on the number of workers, or on which cells were finished by an earlier run. A finished cell is one file
that appears at once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from testtime.errors import InputError, sentence
from testtime.scale.files import file_hash, write_atomic

__all__ = ["Cell", "CellRecord", "Rows", "RunCell", "cell_seed", "run_cells", "seed_record"]

Cell = dict[str, Any]
"""What one computation is told: plain values, with a string ``"id"`` that no other cell has."""
Rows = list[dict[str, Any]]
"""What it answers: rows of numbers, strings and booleans."""
RunCell = Callable[[Any, Cell, np.random.SeedSequence], Rows]
"""``run_cell(config, cell, seed)``; must be importable by worker processes."""


@dataclass(frozen=True)
class CellRecord:
    """One finished cell.

    Attributes
    ----------
    cell, rows
        What was asked and what was found.
    seconds
        Time it took when it was computed.
    sha256
        Hash of its file.
    computed
        Whether this run computed it, or an earlier one.
    """

    cell: Cell
    rows: Rows
    seconds: float
    sha256: str
    computed: bool


def run_cells(
    run_cell: RunCell,
    config: Any,
    cells: Sequence[Cell],
    folder: Path,
    *,
    root_seed: int,
    n_jobs: int = 1,
    backend: str = "joblib",
) -> list[CellRecord]:
    """Compute the cells whose files are missing or damaged, and return all of them in the order given.

    Parameters
    ----------
    run_cell, config, cells
        The function, its first argument, and what it is called with.
    folder
        Where the files of exactly this configuration and code lie.
    root_seed
        Seed from which :func:`cell_seed` makes one for each cell.
    n_jobs
        Cells computed at the same time; -1 means one per core.
    backend
        ``"joblib"`` for joblib's own processes, or the name of any backend registered with joblib ("threading", or
        "ray" after ``ray.util.joblib.register_ray()``). Results do not depend on it.

    Raises
    ------
    InputError
        If two cells share an id, or `n_jobs` or `backend` cannot be used.
    """
    _check(cells, n_jobs)
    paths = {cell["id"]: folder / _file_name(cell["id"]) for cell in cells}
    finished = {cell["id"]: _read(paths[cell["id"]], cell) for cell in cells}
    missing = [cell for cell in cells if finished[cell["id"]] is None]
    found = {name: record for name, record in finished.items() if record is not None}
    if missing:
        tasks = (
            joblib.delayed(_compute)(run_cell, config, cell, root_seed, paths[cell["id"]]) for cell in missing
        )
        records: Any = _workers(min(n_jobs, len(missing)), backend)(tasks)
        for record in records:
            found[record["cell"]["id"]] = record
    new = {cell["id"] for cell in missing}
    return [_as_record(found[name], path, computed=name in new) for name, path in paths.items()]


def _as_record(found: dict[str, Any], path: Path, computed: bool) -> CellRecord:
    return CellRecord(found["cell"], found["rows"], found["seconds"], file_hash(path), computed)


def cell_seed(root: int, cell_id: str) -> np.random.SeedSequence:
    """Return the seed of one cell: a child of the root seed, keyed by the sha256 of the cell's id.

    >>> cell_seed(0, "n=10").spawn_key == cell_seed(1, "n=10").spawn_key
    True
    """
    return np.random.SeedSequence(**seed_record(root, cell_id))


def seed_record(root: int, cell_id: str) -> dict[str, Any]:
    """Return the seed of one cell as plain values, the arguments of :class:`numpy.random.SeedSequence`.

    >>> sorted(seed_record(0, "n=10"))
    ['entropy', 'spawn_key']
    """
    digest = hashlib.sha256(cell_id.encode()).digest()
    key = [int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4)]
    return {"entropy": root, "spawn_key": key}


def _file_name(cell_id: str) -> str:
    """Return a file name that a person can read and that no two ids share."""
    readable = "".join(letter if letter.isalnum() or letter in "=.-" else "_" for letter in cell_id)
    return f"{readable[:80]}-{hashlib.sha256(cell_id.encode()).hexdigest()[:8]}.json"


def _check(cells: Sequence[Cell], n_jobs: int) -> None:
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
                    f"two cells have the id {cell['id']!r}",
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


def _compute(run_cell: RunCell, config: Any, cell: Cell, root_seed: int, path: Path) -> dict[str, Any]:
    """Compute one cell and leave it on disk; runs in a worker."""
    start = time.perf_counter()
    with threadpool_limits(limits=1):  # the sum of a BLAS product depends on the number of threads
        rows = run_cell(config, cell, cell_seed(root_seed, cell["id"]))
    record = {"cell": cell, "rows": rows, "seconds": round(time.perf_counter() - start, 3)}
    record = json.loads(json.dumps(record, default=_plain_number))
    text = json.dumps(record | {"rows_sha256": _rows_hash(record["rows"])})
    if (
        path.is_dir() and not path.is_symlink()
    ):  # nobody but a mistake puts a folder there; a full one is refused
        with suppress(OSError):
            path.rmdir()
    write_atomic(path, text.encode())
    return json.loads(text)  # what a later run would read, so that a resumed table is the same to the bit


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        f"a row of a cell holds a {type(value).__name__}; rows hold numbers, strings and booleans"
    )


def _read(path: Path, cell: Cell) -> dict[str, Any] | None:
    """Return a finished cell, or None if it is missing, damaged, or was computed for something else."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("cell") != json.loads(json.dumps(cell)):
        return None
    return record if _are_rows(record.get("rows")) and _is_whole(record) else None


def _are_rows(rows: Any) -> bool:
    """Whether these can be the rows of a cell: at least one, all with the same names, of numbers, words and None."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and row for row in rows):
        return False
    return all(not isinstance(value, (list, dict)) for row in rows for value in row.values())


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether rows are those that were written; cells of older versions hold no hash."""
    seconds = record.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return False
    return record.get("rows_sha256") in (None, _rows_hash(record["rows"]))


def _rows_hash(rows: Rows) -> str:
    """Return the hash of rows as JSON has them, whatever the order of their names."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
