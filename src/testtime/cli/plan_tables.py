"""``testtime plan TABLE --target COLUMN``: read a table and forecast what adapting brings."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from testtime.cli.defaults import HELD_OUT, MAX_ROWS
from testtime.cli.output import check_least, echo_json, echo_wrapped, notes_on_stderr
from testtime.cli.words import in_options

if TYPE_CHECKING:
    from testtime.table.forecast.plan import TablePlan

__all__ = ["plan_file"]


def plan_file(
    table: Path,
    target: str,
    task: str,
    backbone: str,
    latency: float | None,
    memory: float | None,
    max_rows: int,
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Print the plan of a table.

    Parameters
    ----------
    table, target, task, backbone, max_rows, seed
        As in ``testtime adapt``.
    latency, memory
        As in :func:`testtime.plan_table`; None for no budget.
    as_json
        Print one JSON object.

    Raises
    ------
    InputError
        When the table or an option cannot be used.
    """
    check_least("--seed", seed, 0)
    check_least("--max-rows", max_rows, 1)
    from testtime.cli.target import REGRESS
    from testtime.cli.training import read_training
    from testtime.estimators.planning import plan_table
    from testtime.estimators.progress import progress

    notes: list[str] = []
    with notes_on_stderr(notes), progress(sys.stderr.isatty()):
        data, facts, dropped = read_training(table, target, task=task, max_rows=max_rows, seed=seed)
        data, kind, chosen = data.of_task(task)
        answer = plan_table(
            data.X,
            data.labels,
            task=kind,
            backbone=backbone,
            latency=latency,
            memory=memory,
            random_state=seed,
        )
    if as_json:
        echo_json({"task": kind, "file": facts.to_dict(), **answer.to_dict(), "notes": notes})
        return
    for said in (facts.explain(), *dropped, *chosen, *in_options(answer.explain()).splitlines()):
        echo_wrapped(said)
    asked = ["testtime", "adapt", str(table), "--target", target, "--out", "model"]
    asked += ["--task", kind] if task == kind else []  # else it is found again
    asked += ["--backbone", backbone] if backbone != "embedded" else []
    asked += ["--max-rows", str(max_rows)] if max_rows != MAX_ROWS else []
    asked += ["--seed", str(seed)] if seed else []
    if answer.objective == "short":
        fitted, _, _ = data.split(HELD_OUT, seed, numeric=kind == REGRESS)
        asked += _context(answer, len(fitted.X))
    asked += [] if answer.adapt else ["--n-steps", "0"]
    typer.echo(f"\n{'Adapt' if answer.adapt else 'Serve the frozen model'} with: {shlex.join(asked)}")


def _context(answer: TablePlan, n_fitted: int) -> list[str]:
    """Return the options that serve no more rows than planned, of so many that ``testtime adapt`` does not hold out."""
    from testtime.table.rows import N_FOLDS

    if n_fitted <= answer.n_context:
        return []
    beside = 2 * N_FOLDS if answer.adapt else 0  # rows to train on
    n_context = min(answer.n_context, n_fitted - beside)
    return ["--n-context", str(n_context), *(["--objective", "short"] if answer.adapt else [])]
