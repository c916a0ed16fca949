"""What the GPT-2 figures found, in one file: means, standard errors, claims, setting and time.

    testtime figure gpt2-links --out figures
    python -m benchmarks.gpt2 figures [--out benchmarks/results/gpt2.json]

Reads ``FOLDER/gpt2-*/`` as ``testtime figure`` leaves it. A figure in the setting of ``--quick`` is stored as "quick",
one with all its tasks as "full"; what the file holds of other figures stays.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

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
    by = [*GROUPS[page["figure"]], "method"]
    grouped = pd.read_csv(folder / f"{page['figure']}.csv").groupby(by, sort=False)["mse"]
    table = pd.DataFrame({"mean": grouped.mean(), "se": grouped.sem(), "tasks": grouped.size()}).reset_index()
    cells = page["cells"]
    return {
        "config": page["config"],
        "versions": page["versions"],
        "cells": len(cells),
        "seconds of all cells": round(sum(cell["seconds"] for cell in cells)),
        "claims": json.loads((folder / "claims.json").read_text(encoding="utf-8")),
        "rows": table.to_dict("records"),
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
        if (folder / "manifest.json").exists():
            found = summary(folder)
            kind = kind_of(name, found["config"])
            stored.setdefault(name, {})[kind] = found
            print(f"{name} {kind}: {sum(not claim['holds'] for claim in found['claims'])} claims do not hold")
    arguments.out.write_text(json_text(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
