"""From a frozen configuration to a figure with checked claims: cells, table, drawing, manifest.

A figure is a table of cells, computed by :mod:`testtime.scale.cells`: a run that was stopped goes on where it ended.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pandas as pd

from testtime.experiments.manifest import manifest
from testtime.plain import json_text
from testtime.report.plots import figure_bytes, house_style
from testtime.results import Claim, Result
from testtime.scale.cells import Cell, RunCell, run_cells
from testtime.scale.files import write_atomic
from testtime.scale.source import source_hash

__all__ = ["Figure", "FigureConfig", "FigureResult", "config_hash", "run"]


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
    run_cell: RunCell
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
    n_jobs, backend
        As in :func:`testtime.scale.cells.run_cells`.

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
    folder = Path(out_dir) / figure.name
    key = config_hash(figure, config)
    records = run_cells(
        figure.run_cell,
        config,
        figure.cells(config),
        folder / "cells" / key,
        root_seed=config.seed,
        n_jobs=n_jobs,
        backend=backend,
    )
    table = pd.DataFrame([row for record in records for row in record.rows])
    claims = tuple(figure.claims(table, config))
    with house_style():
        images = figure_bytes(figure.draw(table, config), title=f"{figure.title} ({figure.source})")
    contents = {
        "table": (f"{figure.name}.csv", table.to_csv(index=False).encode()),
        "svg": (f"{figure.name}.svg", images["svg"]),
        "png": (f"{figure.name}.png", images["png"]),
        "claims": ("claims.json", _json_file([claim.to_dict() for claim in claims])),
    }
    written = {role: write_atomic(folder / name, content) for role, (name, content) in contents.items()}
    seconds = time.perf_counter() - start
    about = {"figure": figure.name, "title": figure.title, "source": figure.source}
    about |= {"config": asdict(config), "config_hash": key}
    page = manifest(about, records, list(written.values()), root_seed=config.seed, seconds=seconds)
    written["manifest"] = write_atomic(folder / "manifest.json", _json_file(page))
    return FigureResult(
        name=figure.name,
        holds=all(claim.holds for claim in claims),
        claims=claims,
        n_cells=len(records),
        n_computed=sum(record.computed for record in records),
        seconds=seconds,
        paths={role: str(path) for role, path in written.items()},
        table=table,
    )


def config_hash(figure: Figure, config: FigureConfig) -> str:
    """Return 16 hex digits that change when the setting or the code of the cells changes.

    The functions that check claims and draw do not count: a better drawing does not ask for the computation again.
    """
    described = {
        "name": figure.name,
        "config": asdict(config),
        "code": source_hash(figure.run_cell, (figure.claims.__name__, figure.draw.__name__)),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def _json_file(value: Any) -> bytes:
    return (json_text(value) + "\n").encode()
