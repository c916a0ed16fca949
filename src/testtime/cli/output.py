"""What several commands print: columns, scores side by side, notes on stderr, one JSON object."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from testtime.errors import InputError, sentence
from testtime.plain import json_text

__all__ = ["check_seed", "column_lines", "echo_json", "echo_wrapped", "notes_on_stderr", "score_lines"]

_WIDTH = 100
_MAX_NOTES = 5
_MAX_COLUMNS = 30
_LONGEST_NAME = 24


def check_seed(seed: int) -> None:
    """Raise unless `seed` can seed a generator.

    Raises
    ------
    InputError
        For a negative number.
    """
    if seed < 0:
        raise InputError(sentence(f"--seed {seed}", expected="an integer of at least 0"))


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
    texts = dict.fromkeys(str(item.message) for item in caught if issubclass(item.category, UserWarning))
    found = list(texts)[:_MAX_NOTES]
    if len(texts) > len(found):
        found.append(f"There are {len(texts) - len(found)} more notes like these.")
    notes.extend(found)
    for text in found:
        sys.stderr.write(f"note: {text}\n")


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
    """Return a table of scores, of the frozen model and of what is served, a star at the served length.

    >>> point = {"n_context": 64, "adapted": False, "log_loss": 0.5, "accuracy": 0.75, "auc": float("nan")}
    >>> print(score_lines({"n_context": 64, "points": [point]}))
                     log loss          accuracy               AUC
    context    frozen  served    frozen  served    frozen  served
         64*   0.5000       -     75.0%       -         -       -
    """
    from testtime.report.measures import measures_of

    points = {(point["n_context"], point["adapted"]): point for point in evaluation["points"]}
    columns = measures_of(evaluation)
    cells = {
        place: [measure.of(points.get(place)) for measure in columns]
        for place in [
            (size, which) for size in sorted({size for size, _ in points}) for which in (False, True)
        ]
    }
    width = max(9, 2 + max(len(cell) for row in cells.values() for cell in row))
    lines = [" " * 7 + "".join(f"{measure.name:>{2 * width}}" for measure in columns)]
    lines.append(
        "context " + "".join(f"{'frozen':>{width + 1}}{'served':>{width - 1}}" for _ in columns).rstrip()
    )
    for size in sorted({size for size, _ in points}):
        line = f"{size:>7,}{'*' if size == evaluation['n_context'] else ' '}"
        for plain, adapted in zip(cells[size, False], cells[size, True], strict=True):
            line += f"{plain:>{width + 1}}{adapted:>{width - 1}}"
        lines.append(line)
    return "\n".join(lines)
