"""Measure a model on real tables against other methods trained on the same rows.

``python -m pretraining evaluate WEIGHTS --out FOLDER`` writes ``results.json`` and prints tables.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tabicl._model.tabicl import TabICL

from testtime.backbones.embedded import generation_of
from testtime.errors import InputError, sentence

from .adapting import Predictions, Run, adapted, steps
from .baselines import Method
from .methods import load_model, predict_orders
from .summaries import Record, summary
from .tables import RealTable, split, usable_sizes
from .tasks import TASKS, Task

SIZES = [32, 128, 512, 1024]
SERVED = [32, 128]


@dataclass(frozen=True)
class Draws:
    """Which rows are drawn of every table.

    Attributes
    ----------
    sizes : tuple of int
        Training rows; a table without enough rows for a size goes without it.
    seeds : int
        Number of draws.
    n_test : int
        Most test rows.
    """

    sizes: tuple[int, ...]
    seeds: int
    n_test: int


@dataclass(frozen=True)
class Block:
    """Methods that are measured, and kept, together.

    Attributes
    ----------
    name : str
    run : Run
    depends_on : str
        What the numbers follow from besides the rows (a digest of weights, versions): a cell kept under another
        value is measured again.
    """

    name: str
    run: Run
    depends_on: str


def on_same_rows(methods: dict[str, Method]) -> Run:
    """Every method at every size."""

    def run(table: RealTable, train: dict[int, np.ndarray], test: np.ndarray, seed: int) -> Predictions:
        for n, rows in train.items():
            for name, method in methods.items():
                start = time.process_time()
                prediction = method(table, rows, test, seed)
                yield name, n, prediction, time.process_time() - start

    return run


def one_and_several_orders(model: TabICL, members: int = 4, name: str = "model") -> Run:
    """The model with the columns as they come, and averaged over ``members`` orders, the first of which is that one."""

    def run(table: RealTable, train: dict[int, np.ndarray], test: np.ndarray, seed: int) -> Predictions:
        for n, rows in train.items():
            start = time.process_time()
            orders = predict_orders(model, table, rows, test, members, seed)
            seconds = time.process_time() - start
            yield name, n, orders[0], seconds / members
            yield f"{name}, {members} orders", n, orders.mean(0), seconds

    return run


def measure(
    task: Task, blocks: Sequence[Block], names: Iterable[str], draws: Draws, folder: Path | None = None
) -> list[Record]:
    """Every block on every table and seed; all methods see the same rows.

    Tables that are too small for every size are left out.

    Parameters
    ----------
    task : Task
    blocks : sequence of Block
    names : iterable of str
        Tables.
    draws : Draws
    folder : Path, optional
        One file per table, seed and block is kept here, and taken over if the same thing was measured.
    """
    records: list[Record] = []
    for name in names:
        table = None
        for seed in range(draws.seeds):
            for block in blocks:
                cell, stamp = None, _stamp(block, draws)
                if folder is not None:
                    cell = folder / f"{name.replace(':', '-').replace('/', '-')}-{seed}-{block.name}.json"
                    kept = _kept(cell, stamp)
                    if kept is not None:
                        records += kept
                        continue
                table = table or task.read(name)
                if not usable_sizes(table.y, draws.sizes):
                    continue  # too few rows for any of the sizes; other sizes may have room
                measured = _measure_one(task, block, table, draws, seed)
                if cell is not None:
                    data = {"stamp": stamp, "records": [asdict(record) for record in measured]}
                    write_json(cell, data)
                records += measured
    if not records:
        raise InputError(
            sentence(
                f"no table with enough rows for any of the sizes {list(draws.sizes)}",
                expected="every class among the training rows, and 100 rows left for the test",
                remedy="Pass other --sizes",
            )
        )
    return records


def _measure_one(task: Task, block: Block, table: RealTable, draws: Draws, seed: int) -> list[Record]:
    train, test = split(table.y, list(draws.sizes), draws.n_test, seed)
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence, categories unseen in 32 rows
        for method, n, prediction, seconds in block.run(table, train, test, seed):
            scores = task.score(prediction, table.y[test])
            out.append(Record(table.name, n, seed, method, block.name, scores, seconds))
    return out


def _stamp(block: Block, draws: Draws) -> dict[str, Any]:
    return {"depends_on": block.depends_on, "sizes": list(draws.sizes), "n_test": draws.n_test}


def _kept(cell: Path, stamp: dict[str, Any]) -> list[Record] | None:
    if not cell.exists():
        return None
    data = json.loads(cell.read_text(encoding="utf-8"))
    return [Record(**record) for record in data["records"]] if data["stamp"] == stamp else None


def task_of(model: TabICL) -> Task:
    """The task a model's head is for."""
    return TASKS["classifier" if model.max_classes else "regressor"]


def digest(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def blocks_of(
    weights: Path,
    *,
    average: bool = True,
    before: Path | None = None,
    baselines: bool = True,
    served: Sequence[int] = (),
    step_counts: Sequence[int] = (),
) -> tuple[Task, list[Block]]:
    """What ``evaluate`` measures.

    Parameters
    ----------
    weights : Path
        Exported weights, or a checkpoint.
    average : bool
        Of a checkpoint, take the running average rather than the last weights.
    before : Path, optional
        Other weights of the same task, set beside these.
    baselines : bool
        Measure the other methods as well.
    served : sequence of int
        Context rows that the package's estimator serves; empty leaves it out.
    step_counts : sequence of int
        Numbers of steps to compare at 128 context rows; empty leaves it out.

    Raises
    ------
    InputError
        If the estimator is asked for and the package ships other weights.
    """
    model, sha = load_model(weights, average=average), digest(weights)
    task = task_of(model)
    depends = f"{sha} {'average' if average else 'last'}"
    blocks = [Block("model", one_and_several_orders(model), depends)]
    if before is not None:
        other = one_and_several_orders(load_model(before), name="the model before")
        blocks.append(Block("before", other, digest(before)))
    if baselines:
        versions = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "catboost", "lightgbm"))
        blocks.append(Block("baselines", on_same_rows(task.baselines), versions))
    if served:
        generation = generation_of(sha, task.name)
        if generation is None:
            raise InputError(
                sentence(
                    f"--adapted with {weights}, which are not weights that the package ships",
                    expected=f"a {task.name}.safetensors of the package",
                    why="the estimator knows no others",
                    remedy="Export into src/testtime/backbones/weights first, or leave --adapted out",
                )
            )
        blocks.append(Block("adapted", adapted(served, f"embedded:{generation}"), f"{sha} {list(served)}"))
    if step_counts:
        counts = sorted({0, *step_counts})
        blocks.append(Block("steps", steps(model, counts), f"{depends} {counts}"))
    return task, blocks


def write_results(path: Path, records: list[Record], about: dict[str, Any]) -> None:
    """Results and what they were measured with, as JSON."""
    write_json(
        path, {"about": about, "summary": summary(records), "records": [asdict(record) for record in records]}
    )


def read_results(path: Path) -> tuple[list[Record], dict[str, Any]]:
    """What :func:`write_results` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return [Record(**record) for record in data["records"]], data["about"]


def write_json(path: Path, data: Any) -> None:
    """Write under another name and rename, so that a kill leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
