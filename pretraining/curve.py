"""How good a model was on the way: the snapshots of a run, or exported weights of several runs, one after the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testtime.errors import InputError, sentence

from .checkpoint import read_checkpoint
from .evaluate import Block, Draws, measure, on_same_rows, task_of
from .export import runs_of
from .methods import in_context, load_model
from .summaries import summary

COUNTED = ("step", "tables", "seconds")


def curve(
    stations: Sequence[Path], names: Sequence[str] | None, draws: Draws, *, development: bool
) -> list[dict[str, Any]]:
    """Mean scores of the running average of the weights at every station.

    Parameters
    ----------
    stations : sequence of Path
        Folders of runs, of which every snapshot counts, and files of exported weights.
    names : sequence of str, optional
        Tables; by default those of the task.
    draws : Draws
    development : bool
        The development tables, where ``names`` is not given.

    Raises
    ------
    InputError
        Where there is nothing to measure.
    """
    found = [path for station in stations for path in _weights_at(station)]
    points: list[dict[str, Any]] = []
    for path in found:
        model = load_model(path)
        task = task_of(model)
        chosen = names or (task.development if development else task.reported)
        block = Block("model", on_same_rows({"model": in_context(model)}), "")
        means = summary(measure(task, [block], chosen, draws))
        point: dict[str, Any] = {"task": task.name, **_counters(path)}
        for name, rows in means.items():
            point[name] = {n: value["mean"] for n, value in rows["model"].items()}
        points.append(point)
    return points


def _weights_at(station: Path) -> list[Path]:
    found = sorted(station.glob("step-*.safetensors")) if station.is_dir() else [station]
    if not found or not all(path.is_file() for path in found):
        expected = "the folder of a run that kept snapshots, or a file of exported weights"
        raise InputError(sentence(str(station), expected=expected))
    return found


def _counters(path: Path) -> dict[str, float]:
    """Steps, tables and seconds that weights have seen, over all runs that led to them."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        _, counters, _ = read_checkpoint(path)
        return {key: counters[key] for key in COUNTED}
    training = json.loads(beside.read_text(encoding="utf-8"))["training"]
    return {key: sum(run[key] for run in runs_of(training)) for key in COUNTED}
