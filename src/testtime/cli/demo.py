"""``testtime demo``: the main job on a bundled table, from rows to a report."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.output import check_least, echo_json, echo_wrapped, notes_on_stderr, score_lines

__all__ = ["register"]

_TABLE = "adult"
_ROWS, _ROWS_QUICK = (1000, 600), (600, 300)  # to fit, to score
_ADAPTERS_QUICK, _STEPS_QUICK = 4, 10


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model and the report.")] = Path("testtime-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rows, adapters and steps.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Adapt the embedded model to a bundled real table and compare it with the frozen model.

    1,000 rows of a census table with mixed columns are fitted; others are scored, by the frozen model,
    averaged over its views of all rows, and by what is served. Needs no network. A demo that was there
    before is replaced.
    """
    _refuse_models_of_the_user(out)
    check_least("--seed", seed, 0)
    started = time.perf_counter()

    from testtime import TTTClassifier
    from testtime.cli.reporting import write_report
    from testtime.estimators.progress import progress
    from testtime.estimators.saved import save
    from testtime.evaluation.curves import curve_sizes
    from testtime.evaluation.evaluate import evaluate
    from testtime.evaluation.saved import report_data
    from testtime.evaluation.splits import hold_out
    from testtime.report.break_even import break_even
    from testtime.report.findings import advice, comparison, headline
    from testtime.tasks.summary import summarise
    from testtime.tasks.tables import load_table

    table = load_table(_TABLE)
    n_train, n_test = _ROWS_QUICK if quick else _ROWS
    rest, train = hold_out(table.target, n_train / len(table.target), seed)
    _, test = hold_out(table.target.iloc[rest], n_test / len(rest), seed)
    test = rest[test]
    described = (
        f"{table.description} {len(train):,} rows to fit, {len(test):,} other rows to score. "
        f"Source: {table.source} ({table.licence})."
    )
    if not as_json:
        echo_wrapped(described)
    notes: list[str] = []
    with notes_on_stderr(notes), progress(sys.stderr.isatty() and not as_json):
        estimator = TTTClassifier(
            n_steps=_STEPS_QUICK if quick else "auto",
            n_members=_ADAPTERS_QUICK if quick else "auto",
            random_state=seed,
        ).fit(table.X.iloc[train], table.target.iloc[train])
        evaluation = evaluate(
            estimator,
            table.X.iloc[test],
            table.target.iloc[test],
            sizes=curve_sizes(estimator.adaptation_.n_context, len(estimator.classes_), len(train)),
            source=f"other rows of the table, drawn with seed {seed}, held out before the fit",
            fitted=(table.X.iloc[train], table.target.iloc[train]),
            importances=not quick,
            random_state=seed,
        ).to_dict()
    summary = summarise(table.X.shape[1], table.target.iloc[train]).to_dict()
    training = {
        "target": str(table.target.name),
        "table": summary,
        "notes": [described, *notes],
        "demo": True,
    }
    save(estimator, out, documents={"training": training, "evaluation": evaluation}, overwrite=True)
    page = write_report(report_data(out), out)
    record = estimator.adaptation_.to_dict()
    seconds = time.perf_counter() - started
    if as_json:
        content = {"out": str(out), "report": str(page), "headline": headline(record, evaluation)}
        content |= {"adaptation": record, "explanation": estimator.adaptation_.explain()}
        echo_json(content | {"evaluation": evaluation, "seconds": seconds, "notes": notes})
        return
    typer.echo("\n" + score_lines(evaluation) + "\n")
    echo_wrapped(headline(record, evaluation))
    echo_wrapped(comparison(evaluation))
    for line in advice(record, evaluation):
        echo_wrapped(line)
    typer.echo()
    echo_wrapped(estimator.adaptation_.explain())
    pays = break_even(record, evaluation)
    if pays is not None:
        echo_wrapped(pays.explain())
    typer.echo(f"\n{seconds:.0f} s in all. Model: {out}  Report: {page}")


def _refuse_models_of_the_user(out: Path) -> None:
    """Let the command replace what an earlier demo made, and nothing else."""
    from testtime.store import open_adapter, refuse_existing

    is_demo = False
    if (out / "manifest.json").is_file():
        with open_adapter(out) as saved:
            is_demo = bool((saved.document("training") or {}).get("demo", False))
    refuse_existing(out, overwrite=is_demo)
