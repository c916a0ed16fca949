"""What several commands print: scores side by side, notes on stderr, one JSON object."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from testtime.errors import InputError, sentence

__all__ = ["check_seed", "echo_json", "echo_wrapped", "notes_on_stderr", "score_lines"]

_WIDTH = 100
_MAX_NOTES = 5


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
    """Print one JSON object; numbers that are not finite become null."""
    typer.echo(json.dumps(_finite(content), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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


def score_lines(evaluation: Mapping[str, Any]) -> str:
    """Return a table of scores, plain and adapted side by side, a star at the served length.

    >>> point = {"n_context": 64, "adapted": False, "log_loss": 0.5, "accuracy": 0.75, "auc": float("nan")}
    >>> print(score_lines({"n_context": 64, "points": [point]}))
                     log loss          accuracy               AUC
    context     plain adapted     plain adapted     plain adapted
         64*   0.5000       -     75.0%       -         -       -
    """
    points = {(point["n_context"], point["adapted"]): point for point in evaluation["points"]}
    columns = (("log loss", "log_loss", ".4f"), ("accuracy", "accuracy", ".1%"), ("AUC", "auc", ".3f"))
    lines = [" " * 7 + "".join(f"{title:>18}" for title, _, _ in columns)]
    lines.append("context " + "".join(f"{'plain':>10}{'adapted':>8}" for _ in columns).rstrip())
    for size in sorted({size for size, _ in points}):
        line = f"{size:>7,}{'*' if size == evaluation['n_context'] else ' '}"
        for _, key, form in columns:
            plain, adapted = (_cell(points.get((size, which)), key, form) for which in (False, True))
            line += f"{plain:>10}{adapted:>8}"
        lines.append(line)
    return "\n".join(lines)


def _cell(point: Mapping[str, Any] | None, key: str, form: str) -> str:
    return format(point[key], form) if point is not None and math.isfinite(point[key]) else "-"
