"""``testtime report``: a saved model as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testtime.cli.output import echo_json, echo_wrapped, notes_on_stderr
from testtime.errors import InputError, sentence

if TYPE_CHECKING:
    from testtime.report.html import ReportData

__all__ = ["register", "report_data", "write_report"]


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(report)


def report(
    model: Annotated[Path, typer.Argument(help="Folder that `testtime adapt` made.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; default report.html in the folder.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Labelled rows of your own to score instead.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there, also one of yours.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write one self-contained HTML page about a saved model.

    It shows the scores on held-out rows that `testtime adapt` measured. With --table, rows of your own are
    scored instead.
    """
    if out is not None:
        from testtime.store.places import refuse_output

        refuse_output(out, overwrite=overwrite)
    notes: list[str] = []
    with notes_on_stderr(notes):
        evaluation = _score(model, table) if table is not None else None
    data = report_data(model, evaluation)
    path = write_report(data, model, out, overwrite=overwrite)

    from testtime.report.findings import comparison, headline

    says = headline(data.adaptation.to_dict(), data.evaluation)
    if as_json:
        content = {"out": str(path), "headline": says, "adaptation": data.adaptation.to_dict()}
        echo_json(content | {"evaluation": data.evaluation, "notes": notes})
        return
    echo_wrapped(says)
    if data.evaluation is not None:
        echo_wrapped(comparison(data.evaluation))
    typer.echo(f"Written to {path}")


def report_data(model: Path, evaluation: dict[str, Any] | None = None) -> ReportData:
    """Collect what a saved model and the documents beside it say.

    Parameters
    ----------
    model
        Folder of the model.
    evaluation
        Scores to show instead of the saved ones.

    Raises
    ------
    StoreError
        If the folder holds no model of this version, or a file was changed.
    """
    from testtime.estimators.saved import read_meta
    from testtime.report.html import ReportData
    from testtime.results import Adaptation
    from testtime.store import open_adapter

    with open_adapter(model) as saved:
        meta, versions = read_meta(saved, str(model)), saved.versions
        training = saved.document("training") or {}
        evaluation = evaluation or saved.document("evaluation")
    return ReportData(
        title=f"testtime: {training['table']['target'] if training else model.name}",
        adaptation=Adaptation.from_dict(meta.table.record.model_dump()),
        settings=meta.params,
        versions=versions,
        evaluation=evaluation,
        table=training.get("table"),
        notes=tuple(training.get("notes", ())),
    )


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
    from testtime.cli.prediction import labelled_table
    from testtime.estimators.saved import load
    from testtime.evaluation.curves import curve_sizes, evaluate
    from testtime.store import open_adapter

    with open_adapter(model) as saved:
        training = saved.document("training")
    if training is None:
        raise InputError(
            sentence(
                f"{str(model)!r} does not say which column was the target",
                why="it was not made by `testtime adapt`",
                remedy="Score it in Python with testtime.evaluation.curves.evaluate",
            )
        )
    estimator = load(model)
    classes = getattr(estimator, "classes_", None)
    frame, labels = labelled_table(table, training["table"]["target"], classes)
    n_classes = 0 if classes is None else len(classes)
    sizes = curve_sizes(estimator.adaptation_.n_context, n_classes, training["table"]["rows"])
    return evaluate(
        estimator,
        frame,
        labels,
        sizes=sizes,
        source=f"the file {table.name}; were some of them fitted, the scores would be too good",
    ).to_dict()
