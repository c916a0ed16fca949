"""Two weights before and after gradient steps: which of two ways to pretrain goes further on real tables?

``python -m pretraining compare A B --out FOLDER`` measures plain, one step and 20 steps on the development tables, the
same rows for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testtime.errors import InputError, sentence

from .adapting import steps
from .evaluate import Block, Draws, digest, measure, task_of, write_results
from .methods import load_model
from .summaries import Record
from .tasks import Task


def compare(
    weights: Sequence[Path],
    out: Path,
    counts: Sequence[int],
    draws: Draws,
    *,
    names: Sequence[str] | None = None,
    average: bool = True,
) -> tuple[Task, list[list[Record]]]:
    """Measure each of several weights after each number of steps.

    Parameters
    ----------
    weights : sequence of Path
        Exported weights or checkpoints, all of one task.
    out : Path
        Gets ``compare.json`` of each under ``out/0``, ``out/1``, ...; finished cells are kept there.
    counts : sequence of int
        Numbers of steps.
    draws : Draws
    names : sequence of str, optional
        Tables; by default the development tables.
    average : bool
        Of checkpoints, take the running average.

    Raises
    ------
    InputError
        If the weights are of different tasks.
    """
    models = [load_model(path, average=average) for path in weights]
    tasks = [task_of(model) for model in models]
    if len({task.name for task in tasks}) != 1:
        raise InputError(
            sentence(
                f"weights of a {' and a '.join(task.name for task in tasks)}",
                expected="weights of one task",
                remedy="Compare classifiers with classifiers",
            )
        )
    results = []
    for i, (path, model) in enumerate(zip(weights, models, strict=True)):
        sha = digest(path)
        block = Block(
            "steps", steps(model, counts), f"{sha} {'average' if average else 'last'} {list(counts)}"
        )
        chosen = names or tasks[0].development
        records = measure(tasks[0], [block], chosen, draws, out / str(i) / "cells")
        write_results(out / str(i) / "compare.json", records, {"sha256": sha, "tables": list(chosen)})
        results.append(records)
    return tasks[0], results
