"""``testtime adapt`` and ``testtime predict``: a table in, a model out; a table in, predictions out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from testtime.cli.doubts import refuse_doubtful
from testtime.cli.output import check_seed, echo_json, echo_wrapped, notes_on_stderr, score_lines
from testtime.cli.target import REGRESS, choose_task
from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["register"]

_FEWEST_TO_HOLD_OUT = 200  # rows; below, every row is worth more for the fit than for a score


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
    n_context: Annotated[str, typer.Option(help="Rows served as context, or auto.")] = "auto",
    n_steps: Annotated[
        str, typer.Option(help="Gradient steps, or auto; 0 is plain in-context learning.")
    ] = "auto",
    what: Annotated[str, typer.Option("--adapt", help="auto, encoders, lora, norms, head or all.")] = "auto",
    step_size: Annotated[str, typer.Option(help="First rate of the optimiser, or auto.")] = "auto",
    rank: Annotated[int, typer.Option(help="Rank of --adapt lora.")] = 8,
    guard: Annotated[
        bool, typer.Option("--guard/--no-guard", help="Keep the adapted weights only if guard rows agree.")
    ] = True,
    n_members: Annotated[int, typer.Option(help="Members that are averaged.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ... or auto.")] = "cpu",
    time_limit: Annotated[float | None, typer.Option(help="Seconds for the fit.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    max_rows: Annotated[
        int, typer.Option(help="Rows to use at most, drawn uniformly from the file.")
    ] = 50_000,
    held_out: Annotated[float, typer.Option(help="Share of rows that is only scored, never fitted.")] = 0.2,
    lenient: Annotated[
        bool,
        typer.Option("--lenient", help="Leave out columns without information and keep classes of one row."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Adapt the embedded model to a table and save it.

    A share of the rows is held out and only scored, plain and adapted, at several context lengths; the
    saved model is the one fitted on the other rows. Draw the scores with `testtime report DIR`.
    """
    from testtime.store import add_document, refuse_existing

    refuse_existing(out, overwrite=overwrite)
    if not 0 <= held_out < 1:
        raise InputError(sentence(f"--held-out {held_out}", expected="a share from 0 to below 1"))
    check_seed(seed)
    if max_rows < 1:
        raise InputError(sentence(f"--max-rows {max_rows}", expected="at least 1"))
    arguments = {
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

    from testtime.experiments.context_curve import hold_out
    from testtime.tasks.files import read_table

    frame, facts = read_table(train, max_rows=max_rows, random_state=seed)
    if target not in frame:
        raise InputError(
            sentence(f"{str(train)!r} has no column {target!r}", remedy=nearest(target, frame.columns))
        )
    labels = frame.pop(target)
    if not len(frame.columns):
        raise InputError(sentence(f"{str(train)!r} has no column besides {target!r}", remedy="Add features"))
    if labels.isna().any():
        raise InputError(
            sentence(
                f"the target {target!r} is missing in {int(labels.isna().sum()):,} of {len(labels):,} rows",
                expected="a value in every row",
                remedy="Drop these rows",
            )
        )
    task, chosen = choose_task(task, labels)
    if not lenient:
        refuse_doubtful(frame, None if task == REGRESS else labels)
    if not as_json:
        echo_wrapped(facts.explain())
        echo_wrapped(chosen)
    share = held_out if len(frame) >= _FEWEST_TO_HOLD_OUT else 0.0
    fitted, scored = hold_out([0] * len(labels) if task == REGRESS else labels, share, seed)
    notes: list[str] = []
    split = _split_sentence(len(frame), len(scored), held_out)
    with notes_on_stderr(notes):
        estimator, evaluation = _fit_and_score(task, arguments, frame, labels, fitted, scored, seed)
    from testtime.tasks.summary import summarise

    estimator.save(out, overwrite=overwrite)
    training = {
        "file": facts.to_dict(),
        "types": {name: kind for name, kind in facts.types.items() if name != target},
        "table": summarise(frame.iloc[fitted], labels.iloc[fitted], numeric=task == REGRESS).to_dict(),
        "notes": [facts.explain(), chosen, split, *notes],
    }
    add_document(out, "training", training)
    if evaluation is not None:
        add_document(out, "evaluation", evaluation)
    if as_json:
        echo_json(
            {
                "out": str(out),
                "task": task,
                "file": facts.to_dict(),
                "adaptation": estimator.adaptation_.to_dict(),
                "explanation": estimator.adaptation_.explain(),
                "evaluation": evaluation,
                "notes": [chosen, split, *notes],
            }
        )
        return
    echo_wrapped(split)
    typer.echo()
    echo_wrapped(estimator.adaptation_.explain())
    if evaluation is not None:
        from testtime.report.findings import comparison

        typer.echo("\n" + score_lines(evaluation) + "\n")
        echo_wrapped(comparison(evaluation))
    typer.echo(f"\nSaved in {out}. See it with: testtime report {out}")


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `testtime adapt` made.")],
    table: Annotated[Path, typer.Argument(help="Table with the columns of the training table.")],
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


def _split_sentence(n_rows: int, n_scored: int, share: float) -> str:
    if n_scored:
        return (
            f"{n_scored:,} of {n_rows:,} rows were held out and only scored; the saved model was fitted on the "
            f"other {n_rows - n_scored:,}."
        )
    if share == 0:
        return f"All {n_rows:,} rows were fitted; none was held out, so nothing was scored."
    return f"All {n_rows:,} rows were fitted: too few to hold some out, so nothing was scored."


def _fit_and_score(
    task: str,
    arguments: dict[str, Any],
    frame: pd.DataFrame,
    labels: pd.Series,
    fitted: Any,
    scored: Any,
    seed: int,
) -> tuple[Any, dict[str, Any] | None]:
    """Fit on some rows, score the others at several context lengths."""
    from testtime import TTTClassifier, TTTRegressor
    from testtime.experiments.context_curve import curve_sizes, evaluate

    kind = TTTRegressor if task == REGRESS else TTTClassifier
    estimator = kind(**arguments).fit(frame.iloc[fitted], labels.iloc[fitted])
    if not len(scored):
        return estimator, None
    n_classes = len(getattr(estimator, "classes_", ()))
    sizes = curve_sizes(estimator.adaptation_.n_context, n_classes, len(fitted))
    source = f"drawn from the table with seed {seed} before the fit, neither fitted nor seen by the guard"
    evaluation = evaluate(
        estimator, frame.iloc[scored], labels.iloc[scored], sizes=sizes, source=source, random_state=seed
    )
    return estimator, evaluation.to_dict()
