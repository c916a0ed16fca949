"""What the GPT-2 figures found, in one file: means, standard errors, claims, setting and time.

    testtime figure gpt2-links --out figures
    python -m benchmarks.gpt2 figures [--out benchmarks/results/gpt2.json]

Reads ``FOLDER/gpt2-*/`` as ``testtime figure`` leaves it. A figure in the setting of ``--quick`` is stored as "quick",
one with all its tasks as "full"; what the file holds of other figures stays. Of a full figure that was stopped the
cells that are finished are stored, with the number of tasks behind each mean.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from testtime.experiments.figure import config_hash
from testtime.experiments.manifest import versions
from testtime.experiments.registry import find
from testtime.plain import json_text

GROUPS = {
    "gpt2-links": ["link", "n_rows"],
    "gpt2-fixed-link": ["model", "n_rows"],
    "gpt2-dimension": ["d", "n_rows"],
    "gpt2-shift": ["alignment", "k"],
    "gpt2-variants": ["link"],
}


def kind_of(name: str, config: dict[str, Any]) -> str:
    """Return which setting of a figure this is."""
    settings = {"quick": find(name).config.quick(), "full": find(name).config()}
    for kind, setting in settings.items():
        if json.loads(json_text(asdict(setting))) == config:
            return kind
    raise SystemExit(f"{name}: neither the quick nor the full setting of this version")


def summary(folder: Path) -> dict[str, Any]:
    """Summarise one figure's folder."""
    page = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    table = pd.read_csv(folder / f"{page['figure']}.csv")
    claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    return _summarised(page["figure"], table, page, [cell["seconds"] for cell in page["cells"]], claims)


def unfinished(name: str, folder: Path) -> dict[str, Any] | None:
    """Summarise the cells of a full figure that was stopped, if this code computed them; None when there are none."""
    figure = find(name)
    config = figure.config()
    asked = figure.cells(config)
    finished = sorted((folder / "cells" / config_hash(figure, config)).glob("*.json"))
    if not finished:
        return None
    records = [json.loads(path.read_text(encoding="utf-8")) for path in finished]
    table = pd.DataFrame([row for record in records for row in record["rows"]])
    page = {"config": json.loads(json_text(asdict(config))), "versions": versions()}
    try:
        claims = [claim.to_dict() for claim in figure.claims(table, config)]
    except KeyError:  # a setting that a claim is about has no cell yet
        claims = []
    seconds = [record["seconds"] for record in records]
    return _summarised(name, table, page, seconds, claims) | {"cells of the figure": len(asked)}


def _summarised(
    name: str, table: pd.DataFrame, page: dict[str, Any], seconds: list[float], claims: list[Any]
) -> dict[str, Any]:
    grouped = table.groupby([*GROUPS[name], "method"], sort=False)["mse"]
    rows = pd.DataFrame({"mean": grouped.mean(), "se": grouped.sem(), "tasks": grouped.size()}).reset_index()
    return {
        "config": page["config"],
        "versions": page["versions"],
        "cells": len(seconds),
        "seconds of all cells": round(sum(seconds)),
        "claims": claims,
        "rows": rows.to_dict("records"),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpt2.json"))
    arguments = parser.parse_args()
    stored = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    for name in GROUPS:
        folder = arguments.folder / name
        found = summary(folder) if (folder / "manifest.json").exists() else unfinished(name, folder)
        if found is not None:
            kind = kind_of(name, found["config"])
            stored.setdefault(name, {})[kind] = found
            print(f"{name} {kind}: {sum(not claim['holds'] for claim in found['claims'])} claims do not hold")
    arguments.out.write_text(json_text(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
