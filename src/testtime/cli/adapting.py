"""``testtime adapt`` and ``testtime predict``: a table in, a model out; a table in, predictions out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testtime.cli.output import (
    check_seed,
    column_lines,
    echo_json,
    echo_wrapped,
    notes_on_stderr,
    score_lines,
)
from testtime.cli.target import REGRESS, choose_task
from testtime.errors import InputError, sentence

if TYPE_CHECKING:
    from testtime.cli.training import Training

__all__ = ["register"]

_Columns = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(adapt)
    app.command()(predict)


def adapt(
    train: Annotated[
        Path, typer.Argument(help="Labelled table: CSV (any common dialect, gzip too) or Parquet.")
    ],
    target: Annotated[str, typer.Option(help="Name of the column to predict.")],
    out: Annotated[Path, typer.Option(help="Folder to make for the adapted model.")],
    task: Annotated[
        str,
        typer.Option(
            help="classify, regress, or auto: regress if the target holds many or fractional numbers."
        ),
    ] = "auto",
    objective: Annotated[
        str, typer.Option(help="accuracy serves all rows as context, short as few as the loss allows.")
    ] = "accuracy",
    numeric: Annotated[_Columns, typer.Option(metavar="COL", help="This column holds numbers.")] = None,
    categorical: Annotated[
        _Columns,
        typer.Option(metavar="COL", help="This column holds categories, also if they look like numbers."),
    ] = None,
    date: Annotated[_Columns, typer.Option(metavar="COL", help="This column holds dates.")] = None,
    ignore: Annotated[_Columns, typer.Option(metavar="COL", help="This column is not looked at.")] = None,
    key: Annotated[
        _Columns, typer.Option("--id", metavar="COL", help="This column names rows, and is left out.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(metavar="COL", help="Rows with the same value stay together; not a feature."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COL", help="Time of each row: later rows are the test of earlier ones; not a feature."
        ),
    ] = None,
    n_context: Annotated[str, typer.Option(help="Rows served as context, or auto.")] = "auto",
    n_steps: Annotated[
        str, typer.Option(help="Gradient steps, or auto; 0 is plain in-context learning.")
    ] = "auto",
    what: Annotated[str, typer.Option("--adapt", help="auto, encoders, lora, norms, head or all.")] = "auto",
    step_size: Annotated[str, typer.Option(help="First rate of the optimiser, or auto.")] = "auto",
    rank: Annotated[int, typer.Option(help="Rank of --adapt lora.")] = 8,
    guard: Annotated[
        bool,
        typer.Option(
            "--guard/--no-guard", help="Mix in the frozen model as rows ask for that were not trained on."
        ),
    ] = True,
    n_members: Annotated[int, typer.Option(help="Adapters that are averaged.")] = 8,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ... or auto.")] = "cpu",
    time_limit: Annotated[float | None, typer.Option(help="Seconds for the fit.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    max_rows: Annotated[
        int, typer.Option(help="Rows to use at most, drawn uniformly from the file.")
    ] = 50_000,
    held_out: Annotated[float, typer.Option(help="Share of rows that is only scored, never fitted.")] = 0.2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Adapt the embedded model to a table and save it.

    A share of the rows is held out and only scored, by the frozen model and by what is served; the saved
    model is the one fitted on the other rows. Draw the scores with `testtime report DIR`.
    """
    from testtime.store import add_document, refuse_existing

    refuse_existing(out, overwrite=overwrite)
    if not 0 <= held_out < 1:
        raise InputError(sentence(f"--held-out {held_out}", expected="a share from 0 to below 1"))
    check_seed(seed)
    if max_rows < 1:
        raise InputError(sentence(f"--max-rows {max_rows}", expected="at least 1"))
    arguments = {
        "objective": objective,
        "n_context": _number_or_auto("--n-context", n_context),
        "n_steps": _number_or_auto("--n-steps", n_steps),
        "step_size": _number_or_auto("--step-size", step_size, float),
        "rank": rank,
        "guard": guard,
        "device": device,
        "adapt": what,
        "n_members": n_members,
        "time_limit": time_limit,
        "random_state": seed,
        "verbose": int(not as_json and sys.stderr.isatty()),
    }

    from testtime.cli.training import declared_kinds, read_training, typed

    arguments["column_kinds"] = declared_kinds(
        {
            "--numeric": ("number", numeric),
            "--categorical": ("nominal", categorical),
            "--date": ("date", date),
            "--ignore": ("ignored", ignore),
            "--id": ("id", key),
        }
    )
    notes: list[str] = []
    with notes_on_stderr(notes):
        data, facts, dropped = read_training(
            train, target, groups=groups, time=time, max_rows=max_rows, seed=seed
        )
    values = typed(data.labels, facts)
    task, chosen = choose_task(task, values)
    if not as_json:
        for said in (facts.explain(), *dropped, chosen):
            echo_wrapped(said)
    if task == REGRESS:
        data = data.with_labels(values)
    fitted, scored, split = data.split(held_out, seed, numeric=task == REGRESS)
    with notes_on_stderr(notes):
        estimator, evaluation = _fit_and_score(task, arguments, fitted, scored, seed)
    from testtime.tasks.summary import summarise

    record = estimator.adaptation_
    estimator.save(out, overwrite=overwrite)
    summary = summarise(fitted.X.shape[1], fitted.labels, numeric=task == REGRESS)
    said = [*dropped, chosen, split, *notes]
    training = {"file": facts.to_dict(), "table": summary.to_dict(), "notes": [facts.explain(), *said]}
    add_document(out, "training", training)
    if evaluation is not None:
        add_document(out, "evaluation", evaluation)
    if as_json:
        content = {"out": str(out), "task": task, "file": facts.to_dict(), "adaptation": record.to_dict()}
        echo_json(content | {"explanation": record.explain(), "evaluation": evaluation, "notes": said})
        return
    echo_wrapped(split)
    typer.echo("\n" + column_lines(record.columns) + "\n")
    echo_wrapped(record.explain())
    if evaluation is not None:
        from testtime.report.findings import comparison

        typer.echo("\n" + score_lines(evaluation) + "\n")
        echo_wrapped(comparison(evaluation))
    typer.echo(f"\nSaved in {out}. See it with: testtime report {out}")


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `testtime adapt` made.")],
    table: Annotated[
        Path, typer.Argument(help="Table with the columns that the model uses; others are ignored.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write; its ending says the format: .csv, .tsv, .jsonl (.gz too), .parquet, .feather."
        ),
    ],
    labels_only: Annotated[
        bool,
        typer.Option("--label/--proba", help="Only the prediction, or probabilities or quantiles too."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Predict the rows of a table, in their order; the table may be larger than the memory."""
    from testtime.table.writers import check_output

    check_output(out, overwrite=overwrite)

    from testtime.cli.prediction import write_predictions

    notes: list[str] = []
    with notes_on_stderr(notes):
        rows = write_predictions(model, table, out, labels_only=labels_only)
    if as_json:
        echo_json({"out": str(out), "rows": rows, "notes": notes})
    else:
        typer.echo(f"{rows:,} {'row' if rows == 1 else 'rows'} predicted, written to {out}")


def _number_or_auto(option: str, text: str, kind: type[int] | type[float] = int) -> float | str:
    if text == "auto":
        return text
    try:
        return kind(text)
    except ValueError as error:
        expected = "an integer or auto" if kind is int else "a number or auto"
        raise InputError(sentence(f"{option} {text}", expected=expected)) from error


def _fit_and_score(
    task: str, arguments: dict[str, Any], fitted: Training, scored: Training, seed: int
) -> tuple[Any, dict[str, Any] | None]:
    """Fit on some rows, score the others."""
    from testtime import TTTClassifier, TTTRegressor
    from testtime.evaluation.curves import curve_sizes, evaluate

    kind = TTTRegressor if task == REGRESS else TTTClassifier
    estimator = kind(**arguments).fit(fitted.X, fitted.labels, groups=fitted.groups, time=fitted.time)
    if not len(scored.X):
        return estimator, None
    n_classes = len(getattr(estimator, "classes_", ()))
    drawn = (
        "the latest rows of the table"
        if scored.time is not None
        else f"drawn from the table with seed {seed}"
    )
    evaluation = evaluate(
        estimator,
        scored.X,
        scored.labels,
        sizes=curve_sizes(estimator.adaptation_.n_context, n_classes, len(fitted.X)),
        source=f"{drawn}, held out before the fit",
        groups=scored.groups,
        random_state=seed,
    )
    return estimator, evaluation.to_dict()
