"""``testtime adapt`` and ``testtime predict``: a table in, a model out; a table in, predictions out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testtime.cli.defaults import HELD_OUT, MAX_ROWS
from testtime.cli.output import (
    check_apart,
    check_least,
    column_lines,
    echo_json,
    echo_wrapped,
    notes_on_stderr,
    score_lines,
    written,
)
from testtime.cli.words import in_options
from testtime.errors import InputError, sentence

if TYPE_CHECKING:
    from testtime.cli.grouping import GroupRequest

__all__ = ["register"]

_Columns = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(adapt)
    app.command()(predict)


def adapt(
    called: typer.Context,
    train: Annotated[
        Path, typer.Argument(help="Labelled table: CSV, gzip, Parquet, ...; - is standard input.")
    ],
    target: Annotated[str, typer.Option(help="Name of the column to predict.")],
    out: Annotated[Path, typer.Option(help="Folder to make for the adapted model.")],
    task: Annotated[
        str,
        typer.Option(
            help="classify, regress, or auto: regress if the target holds many or fractional numbers."
        ),
    ] = "auto",
    backbone: Annotated[
        str, typer.Option(help="embedded, tabicl, tabpfn, tabpfn:v2, or tabicl:FILE and tabpfn:FILE.")
    ] = "embedded",
    objective: Annotated[
        str, typer.Option(help="accuracy: all rows are context; short: as few as the loss allows.")
    ] = "accuracy",
    numeric: Annotated[_Columns, typer.Option(metavar="COL", help="Column of numbers; repeatable.")] = None,
    categorical: Annotated[
        _Columns, typer.Option(metavar="COL", help="Column of categories; repeatable.")
    ] = None,
    date: Annotated[_Columns, typer.Option(metavar="COL", help="Column of dates; repeatable.")] = None,
    ignore: Annotated[_Columns, typer.Option(metavar="COL", help="Column to leave out; repeatable.")] = None,
    id_columns: Annotated[
        _Columns,
        typer.Option(
            "--id", metavar="COL", help="Column that names rows: carried to predictions; repeatable."
        ),
    ] = None,
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="Use columns that look like names or numbers of rows.")
    ] = False,
    groups: Annotated[
        str | None, typer.Option(metavar="COL", help="Rows of one group stay on one side of every split.")
    ] = None,
    by: Annotated[
        _Columns,
        typer.Option(metavar="COL", help="One adapter for each group, into the store --out; repeatable."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="With --by: serial, joblib, or ray for the cluster that is running.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="With --by: groups at the same time.")] = None,
    smallest: Annotated[
        int | None, typer.Option(help="With --by: smaller groups are served by a shared model; default 64.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="With --by: cold, or chosen between that and what other groups share.")
    ] = None,
    together: Annotated[
        bool,
        typer.Option("--together", help="With --by: tiny adapters in shared steps: faster, gains little."),
    ] = False,
    time: Annotated[
        str | None, typer.Option(metavar="COL", help="Scores are of rows later than those fitted.")
    ] = None,
    cost: Annotated[
        _Columns,
        typer.Option(metavar="LABEL=NUMBER", help="What missing a class costs, or balanced; repeatable."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Of two classes, predict the rarer one from this probability.")
    ] = None,
    n_context: Annotated[str, typer.Option(help="Rows served as context, or auto.")] = "auto",
    n_steps: Annotated[
        str, typer.Option(help="Gradient steps, or auto; 0 is plain in-context learning.")
    ] = "auto",
    n_members: Annotated[int | None, typer.Option(help="Adapters that are averaged.")] = None,
    what: Annotated[
        str, typer.Option("--adapt", help="auto, encoders, lora, norms, tail, head or all.")
    ] = "auto",
    step_size: Annotated[str, typer.Option(help="First rate of the optimiser, or auto.")] = "auto",
    rank: Annotated[int, typer.Option(help="Rank of --adapt lora.")] = 8,
    guard: Annotated[
        bool, typer.Option("--guard/--no-guard", help="Mix adapted and frozen models as unseen rows say.")
    ] = True,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ... or auto.")] = "cpu",
    time_limit: Annotated[
        float | None,
        typer.Option(help="Seconds for the command once the table is read; with --by, for each group."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    max_rows: Annotated[
        int, typer.Option(help="Rows to use at most, drawn uniformly from the file.")
    ] = MAX_ROWS,
    held_out: Annotated[
        float, typer.Option(help="Share of rows that is only scored, never fitted.")
    ] = HELD_OUT,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Adapt a pretrained model to a table and save it; with --by, one adapter for each group.

    A share of the rows is held out and only scored, next to the frozen model and to models one would try
    first; the saved model is the one fitted on the other rows. Draw the scores with `testtime report DIR`.
    """
    from testtime.store import refuse_existing
    from testtime.store.manifest import MANIFEST
    from testtime.store.places import refuse_inside

    if by:
        of_one = {"--groups": groups, "--time": time, "--cost": cost, "--threshold": threshold}
        of_one |= {"--id": id_columns, "--keep-ids": keep_ids, "--overwrite": overwrite}
        of_one |= dict.fromkeys(written(called, ("max_rows", "held_out")), True)
        _refuse_beside("--by", of_one)
        if (out / MANIFEST).exists():
            got = f"--out {out} is a saved model"
            raise InputError(
                sentence(got, expected="a store, or a new folder", why="--by makes a store of models")
            )
        refuse_inside(out)
    else:
        of_groups = {"--engine": engine, "--jobs": jobs, "--smallest": smallest, "--start": start}
        _refuse_without("--by", {**of_groups, "--together": together or None})
        refuse_existing(out, overwrite=overwrite)
    if not 0 <= held_out < 1:
        raise InputError(sentence(f"--held-out {held_out}", expected="a share from 0 to below 1"))
    check_least("--seed", seed, 0)
    check_least("--max-rows", max_rows, 1)
    arguments = {
        "backbone": backbone,
        "objective": objective,
        "n_context": _number_or_auto("--n-context", n_context),
        "n_steps": _number_or_auto("--n-steps", n_steps),
        "step_size": _number_or_auto("--step-size", step_size, float),
        "rank": rank,
        "guard": guard,
        "device": device,
        "adapt": what,
        "time_limit": time_limit,
        "random_state": seed,
    }
    arguments |= {} if n_members is None else {"n_members": n_members}

    from testtime.cli.fitting import Request, adapt_table
    from testtime.cli.training import declared_kinds
    from testtime.estimators.progress import progress

    kinds = declared_kinds(
        {
            "--numeric": ("number", numeric),
            "--categorical": ("nominal", categorical),
            "--date": ("date", date),
            "--ignore": ("ignored", ignore),
            "--id": ("id", id_columns),
        }
    )
    if by:
        from testtime.cli.grouping import GroupRequest
        from testtime.scale.groups.adapt import SMALLEST

        grouped = GroupRequest(
            train,
            target,
            by,
            out,
            task,
            kinds,
            engine or "serial",
            jobs,
            SMALLEST if smallest is None else smallest,
            start or "cold",
            together or None,
            arguments,
            sys.stderr.isatty(),
        )
        _adapt_groups(grouped, as_json)
        return
    request = Request(
        train,
        target,
        task,
        kinds,
        keep_ids,
        groups,
        time,
        cost or (),
        threshold,
        held_out,
        max_rows,
        arguments,
    )
    notes: list[str] = []
    with notes_on_stderr(notes), progress(sys.stderr.isatty()):
        done = adapt_table(request)
        done.save(out, notes, overwrite=overwrite)
    record = done.estimator.adaptation_
    explained = in_options(record.explain())
    if as_json:
        content = {"out": str(out), "task": done.task, "file": done.facts.to_dict()}
        content |= {"adaptation": record.to_dict(), "explanation": explained}
        echo_json(content | {"evaluation": done.evaluation, "notes": [*done.said, *notes]})
        return
    for said in done.said:
        echo_wrapped(said)
    typer.echo("\n" + column_lines(record.columns) + "\n")
    echo_wrapped(explained)
    if done.evaluation is not None:
        from testtime.report.findings import advice, comparison

        typer.echo("\n" + score_lines(done.evaluation) + "\n")
        echo_wrapped(comparison(done.evaluation))
        for line in advice(record.to_dict(), done.evaluation):
            echo_wrapped(line)
    typer.echo(f"\nSaved in {out}. See it with: testtime report {out}")


def _adapt_groups(request: GroupRequest, as_json: bool) -> None:
    """Adapt to groups and say what became of them; the exit code is 1 if one failed."""
    from testtime.cli.grouping import adapt_table_groups, group_lines

    notes: list[str] = []
    with notes_on_stderr(notes):
        found, said = adapt_table_groups(request)
    if as_json:
        echo_json({**found.to_dict(), "task": said, "notes": notes})
    else:
        echo_wrapped(said)
        typer.echo("\n" + group_lines(found) + "\n")
        echo_wrapped(found.explain())
        if len(found.failed) < len(found):
            typer.echo(f"Serve them with: testtime serve {request.out}")
    if found.failed:
        raise typer.Exit(1)


def _refuse_beside(option: str, others: dict[str, object]) -> None:
    given = [name for name, value in others.items() if value not in (None, False)]
    if given:
        raise InputError(sentence(f"{given[0]} does not go with {option}", remedy="Leave one of them out"))


def _refuse_without(option: str, others: dict[str, object]) -> None:
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise InputError(
            sentence(f"{given[0]} needs {option}", remedy=f"Name the column of groups with {option}")
        )


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `testtime adapt` made.")],
    table: Annotated[
        Path, typer.Argument(help="Table with the columns of the training table; - is standard input.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write; its ending says the format: .csv, .tsv, .jsonl (.gz too), .parquet, .feather."
        ),
    ],
    quantiles: Annotated[
        str | None,
        typer.Option(metavar="0.05,0.5,0.95", help="Quantiles of a predicted number; default 0.1,0.9."),
    ] = None,
    id_columns: Annotated[
        _Columns, typer.Option("--id", metavar="COL", help="Column to copy to the output; repeatable.")
    ] = None,
    labels_only: Annotated[
        bool,
        typer.Option("--label/--proba", help="Only the prediction, or probabilities or quantiles too."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Predict the rows of a table, in their order; the table may be larger than the memory.

    Columns that name rows are copied to the output: those the training found or was told, and --id.
    """
    from testtime.table.writers import check_output

    check_apart(out, table)
    check_output(out, overwrite=overwrite)
    levels = _levels(quantiles)
    if labels_only and levels:
        raise InputError(sentence("--label leaves no room for --quantiles", remedy="Pass one of them"))

    from testtime.cli.prediction import write_predictions
    from testtime.estimators.progress import progress

    notes: list[str] = []
    with notes_on_stderr(notes), progress(sys.stderr.isatty()) as work:
        rows = write_predictions(
            model, table, out, levels=levels, carried=id_columns or (), labels_only=labels_only, work=work
        )
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


def _levels(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(0.005 <= level <= 0.995 for level in levels):
        raise InputError(
            sentence(
                f"--quantiles {text}",
                expected="numbers from 0.005 to 0.995 with commas, such as 0.05,0.5,0.95",
            )
        )
    if len(set(levels)) < len(levels):
        raise InputError(sentence(f"--quantiles {text} holds a number twice", remedy="Name each once"))
    return levels
