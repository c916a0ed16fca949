"""``testtime report``: a saved model as one HTML page."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testtime.cli.output import check_apart, echo_json, echo_wrapped, notes_on_stderr
from testtime.errors import InputError, sentence

if TYPE_CHECKING:
    from testtime.report.html import ReportData

__all__ = ["register", "write_report"]


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(report)


def report(
    model: Annotated[Path, typer.Argument(help="Folder that `testtime adapt` made.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; default report.html in the folder, if no store's.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Labelled rows of your own to score instead.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there, also one of yours.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write one self-contained HTML page about a saved model.

    It shows the scores on held-out rows that `testtime adapt` measured. With --table, rows of your own are
    scored instead; other models are then not compared, since a saved model holds no rows to fit them to.
    """
    if out is not None:
        from testtime.store.places import refuse_output

        if table is not None:
            check_apart(out, table)
        refuse_output(out, overwrite=overwrite)
    else:
        from testtime.store.stored import refuse_stored

        refuse_stored(model, "Name the file to write with --out")
    from testtime.estimators.progress import progress

    notes: list[str] = []
    with notes_on_stderr(notes), progress(table is not None and sys.stderr.isatty()):
        evaluation = _score(model, table) if table is not None else None
    from testtime.evaluation.saved import report_data

    data = report_data(model, evaluation)
    path = write_report(data, model, out, overwrite=overwrite)

    from testtime.report.findings import advice, comparison, headline

    record = data.adaptation.to_dict()
    says = headline(record, data.evaluation)
    if as_json:
        content = {"out": str(path), "headline": says, "adaptation": record}
        echo_json(content | {"evaluation": data.evaluation, "notes": notes})
        return
    echo_wrapped(says)
    if data.evaluation is not None:
        echo_wrapped(comparison(data.evaluation))
    for line in advice(record, data.evaluation):
        echo_wrapped(line)
    typer.echo(f"Written to {path}")


def write_report(data: ReportData, model: Path, out: Path | None = None, *, overwrite: bool = False) -> Path:
    """Draw the page, put it in place whole, in the folder of the model unless `out` is given, and return its path."""
    from testtime.report.html import render_report
    from testtime.store import add_page
    from testtime.store.atomic import replace_file

    page = render_report(data)
    if out is None:
        return add_page(model, "report", page, overwrite=overwrite)
    replace_file(out, lambda staged: staged.write_text(page, encoding="utf-8"))
    return out


def _score(model: Path, table: Path) -> dict[str, Any]:
    """Score labelled rows of the user with a saved model."""
    from testtime.cli.prediction import labelled_table, training_of
    from testtime.estimators.saved import load
    from testtime.evaluation.curves import curve_sizes
    from testtime.evaluation.evaluate import evaluate
    from testtime.evaluation.overlap import n_fitted_rows
    from testtime.table.readers import require_columns

    training = training_of(model)
    if training is None:
        raise InputError(
            sentence(
                f"{str(model)!r} does not say which column was the target",
                why="it was saved in Python, or for a group by an older version",
                remedy="Score it in Python with testtime.evaluation.evaluate",
            )
        )
    estimator = load(model)
    classes = getattr(estimator, "classes_", None)
    frame, labels = labelled_table(table, training["target"], classes)
    if "file" in training:
        names = [name.strip() for name in map(str, frame.columns)]
        require_columns(str(table), names, estimator._table.encoding.columns.required)
    classes = () if classes is None else classes
    n_context, costs = estimator.adaptation_.n_context, training.get("costs")
    n_fitted = n_fitted_rows(estimator._table, frame)
    evaluation = evaluate(
        estimator,
        frame,
        labels,
        sizes=curve_sizes(n_context, len(classes), estimator._table.n_reference),
        source=f"the file {table.name}",
        costs=None if costs is None else [costs[str(label)] for label in classes],
    )
    return replace(evaluation, n_fitted=n_fitted).to_dict()
