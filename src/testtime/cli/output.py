"""What several commands print: scores side by side, notes on stderr, one JSON object."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from testtime.cli.words import in_options
from testtime.errors import InputError, sentence
from testtime.plain import json_text

__all__ = [
    "check_apart",
    "check_folder",
    "check_least",
    "column_lines",
    "echo_json",
    "echo_wrapped",
    "notes_on_stderr",
    "score_lines",
    "warn_of_file",
    "written",
]

_WIDTH = 100
_MAX_NOTES = 5
_MAX_COLUMNS = 30
_LONGEST_NAME = 24


def check_apart(out: Path, read: Path) -> None:
    """Raise InputError when a file to write is the one that is read, also by a link or as standard input."""
    try:
        there = os.fstat(sys.stdin.fileno()) if str(read) == "-" else read.stat()
        same = os.path.samestat(out.stat(), there)
    except (OSError, ValueError):  # what is not there, or no name, is judged by those who open it
        return
    if same:
        raise InputError(
            sentence(
                f"--out {out} is the table that is read",
                expected="another file",
                why="the table would be lost",
                remedy="Name another one",
            )
        )


def check_folder(out: Path) -> None:
    """Raise when `--out` cannot be a folder, or is in one of a saved model; nothing is made."""
    from testtime.store.places import refuse_inside

    blocked = next(
        (part for part in (out, *out.parents) if os.path.lexists(part) and not part.is_dir()), None
    )
    if blocked is not None:
        what = "a file" if blocked.exists() else "a link to nothing"
        got = f"--out {out}: {blocked} is {what}" if blocked != out else f"--out {out} is {what}"
        raise InputError(sentence(got, expected="a folder", remedy="Name another one"))
    refuse_inside(out, itself=True)


def check_least(option: str, value: int, least: int) -> None:
    """Raise unless the value of an option is large enough.

    Raises
    ------
    InputError
        For less than `least`.
    """
    if value < least:
        raise InputError(sentence(f"{option} {value}", expected=f"at least {least}"))


def written(called: typer.Context, names: Sequence[str]) -> list[str]:
    """Return those of some options that stand on the command line, rather than having their defaults.

    `names` are those of the command's arguments.
    """
    sources = {name: called.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    return [f"--{name.replace('_', '-')}" for name in given]


def echo_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object; NaN becomes null and an infinity ``"inf"``, as in :func:`testtime.plain.plain`."""
    typer.echo(json_text(content))


def echo_wrapped(text: str) -> None:
    """Print a paragraph."""
    import textwrap

    typer.echo(textwrap.fill(text, _WIDTH))


@contextmanager
def notes_on_stderr(notes: list[str]) -> Iterator[None]:
    """Collect warnings of the library in `notes`, each once and five at most, and print them on stderr."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = dict.fromkeys(
        in_options(str(item.message)) for item in caught if issubclass(item.category, UserWarning)
    )
    found = list(texts)[:_MAX_NOTES]
    if len(texts) > len(found):
        found.append(f"There are {len(texts) - len(found)} more notes like these.")
    notes.extend(found)
    for text in found:
        sys.stderr.write(f"note: {text}\n")


def warn_of_file(name: str, notes: Sequence[str]) -> None:
    """Warn of what a reader noted about a file, for commands that do not describe it otherwise."""
    from testtime.table.columns import DataWarning

    for note in notes:
        warnings.warn(f"{Path(name).name}: {note}.", DataWarning, stacklevel=2)


def column_lines(columns: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of columns: what each was taken for, and how it was read or why it is left out.

    >>> column = {"name": "size", "kind": "number", "missing": 2, "levels": 40, "parsed": "", "left_out": ""}
    >>> key = column | {"name": "row", "kind": "id", "missing": 0, "left_out": "it counts the rows"}
    >>> print(column_lines([column, key]))
    column  kind    missing  different
    size    number        2         40
    row     id            0         40  left out: it counts the rows
    """
    shown = columns[:_MAX_COLUMNS]
    names = [_shortened(str(column["name"])) for column in shown]
    name_width = max([6, *map(len, names)])
    kind_width = max([4, *(len(column["kind"]) for column in shown)])
    lines = [f"{'column':<{name_width}}  {'kind':<{kind_width}}  missing  different"]
    for name, column in zip(names, shown, strict=True):
        how = f"left out: {column['left_out']}" if column["left_out"] else column["parsed"]
        line = f"{name:<{name_width}}  {column['kind']:<{kind_width}}  {column['missing']:>7,}  {column['levels']:>9,}"
        lines.append(f"{line}  {how}".rstrip())
    if len(columns) > len(shown):
        lines.append(f"and {len(columns) - len(shown):,} more columns")
    return "\n".join(lines)


def _shortened(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."


def score_lines(evaluation: Mapping[str, Any]) -> str:
    """Return a table of scores with their standard errors: what is served, and what could be used instead.

    >>> score = {"value": 0.5, "error": 0.02}
    >>> point = {"n_context": 64, "adapted": False, "scores": dict.fromkeys(["log_loss", "accuracy", "auc"], score)}
    >>> print(score_lines({"n_context": 64, "loss_name": "log loss", "points": [point], "rivals": []}))
                                         log loss           accuracy                AUC
    frozen, 64 context rows     0.5000 \u00b1 0.0200       50.0% \u00b1 2.0%      0.500 \u00b1 0.020
    """
    from testtime.report.measures import measures_of

    measures = measures_of(evaluation)
    size = evaluation["n_context"]
    points = {point["adapted"]: point for point in evaluation["points"] if point["n_context"] == size}
    adapted = True in points
    what = "served: adapted" if adapted else "frozen"
    rows = [
        (f"{what}, {size:,} context rows", points[adapted]),
        *((one["name"], one) for one in evaluation["rivals"]),
    ]
    wide = max(len(name) for name, _ in rows) + 1
    lines = [" " * wide + "".join(f"{measure.name:>19}" for measure in measures)]
    for name, one in rows:
        cells = [
            measure.of(one)
            + ("" if measure.of(one) == "-" else f" \N{PLUS-MINUS SIGN} {measure.error_of(one)}")
            for measure in measures
        ]
        lines.append(f"{name:<{wide}}" + "".join(f"{cell:>19}" for cell in cells))
    return "\n".join(lines)
