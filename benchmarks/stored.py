"""What benchmarks stored, and the Markdown tables that pages show of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def stored(name: str) -> Any:
    """Return the result of a benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def measure_each(
    draws: Iterable[tuple[str, Any]],
    measure: Callable[[Any], dict[str, Any]],
    file: Path,
    wanted: Callable[[Any], bool] = lambda _: True,
) -> None:
    """Measure the draws that are wanted and keep what came out; those that are in the file already are left out."""
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    done = {one["name"] for one in found}
    for name, draw in draws:
        if name not in done and wanted(draw):
            found.append({"name": name, **measure(draw)})
            file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            print(json.dumps(found[-1]), flush=True)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """Return a table.

    >>> print(markdown(["a", "b"], [["1", "2"]]), end="")
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
