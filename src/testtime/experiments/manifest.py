"""What says later how a figure was made: setting, versions, seeds, and the hashes of its files."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from testtime.scale.cells import CellRecord, seed_record
from testtime.scale.files import file_hash

__all__ = ["manifest", "versions"]

_PACKAGES = ("testtime", "numpy", "scipy", "pandas", "matplotlib", "joblib", "torch")


def manifest(
    about: Mapping[str, Any],
    records: Iterable[CellRecord],
    files: Iterable[Path],
    *,
    root_seed: int,
    seconds: float,
) -> dict[str, Any]:
    """Return the manifest of one run: `about` first, then versions, files and cells."""
    return {
        **about,
        "versions": versions(),
        "files": {path.name: file_hash(path) for path in files},
        "seconds": round(seconds, 3),
        "cells": [
            {
                "id": record.cell["id"],
                "seed": seed_record(root_seed, record.cell["id"]),
                "seconds": record.seconds,
                "sha256": record.sha256,
            }
            for record in records
        ],
    }


def versions() -> dict[str, str]:
    """Return the versions a result may depend on; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
