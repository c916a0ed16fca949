"""From a checkpoint to the files the package ships.

For the task ``classifier`` or ``regressor``: ``TASK.safetensors`` (weights), ``TASK.json`` (constructor arguments,
preprocessing rule, how it was trained, sha256), ``TASK_log.jsonl`` (thinned, after the log of the weights it
started from); and ``LICENSE``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from testtime.errors import InputError, sentence

from .checkpoint import part, read_checkpoint
from .prior.columns import CLIP, RANK_WEIGHT

PREPROCESSING = {
    "rule": "(1 - rank_weight) * clip((x - mean) / std, -clip, clip)"
    " + rank_weight * sqrt(12) * (mid_rank - 1/2)",
    "rank_weight": RANK_WEIGHT,
    "clip": CLIP,
    "std": "population",
    "statistics_from": "context rows",
    "missing": 0.0,
    "constant_column": 0.0,
    "categories": "ordinal codes, then the rule",
}
LICENCE_NOTE = (
    "The weights in this folder were trained from random initialisation on synthetic tables by the code in\n"
    "pretraining/ of this repository. They are licensed, like the code, under the Apache License,\n"
    "Version 2.0: https://www.apache.org/licenses/LICENSE-2.0\n"
)


def export(
    checkpoint: Path, folder: Path, *, beside: Sequence[Path] = (), average: bool = True, half: bool = False
) -> dict[str, Any]:
    """Write the weights and their description.

    Parameters
    ----------
    checkpoint : Path
        A checkpoint or snapshot of the loop; its folder's ``log.jsonl`` is thinned and taken along.
    folder : Path
        Where to write; existing files are replaced.
    beside : sequence of Path
        Checkpoints of runs that began with the same weights and went on with another seed: the mean of all of their
        weights is written (Wortsman et al., ICML 2022, "model soups").
    average : bool
        Ship the running average of the weights rather than the last ones.
    half : bool
        Store float16.

    Returns
    -------
    dict
        What was written to ``TASK.json``.

    Raises
    ------
    InputError
        If the weights the run started from have been replaced since, or another run began with others.
    """
    tensors, counters, settings = read_checkpoint(checkpoint)
    weights = _weights(tensors, average=average)
    others = [read_checkpoint(path) for path in beside]
    for path, (_, _, its) in zip(beside, others, strict=True):
        if its["model"] != settings["model"] or its["train"]["start_from"] != settings["train"]["start_from"]:
            got = f"{str(path)!r} is of a run that began with other weights"
            raise InputError(sentence(got, expected="the same", why="the mean of unlike weights is no model"))
    for name, value in weights.items():
        own = [_weights(its, average=average)[name] for its, _, _ in others]
        weights[name] = torch.stack([value, *own]).mean(0) if own else value
    dtype = torch.float16 if half else torch.float32
    task = "classifier" if settings["model"]["max_classes"] else "regressor"
    payload = save({name: value.to(dtype).contiguous() for name, value in sorted(weights.items())})
    log = checkpoint.parent / "log.jsonl"
    entries = (
        [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    )
    entries = [entry for entry in entries if entry["step"] <= counters["step"]]
    validation = [entry for entry in entries if "loss_ema" in entry]
    begun = next((entry["start_sha256"] for entry in entries if "start_sha256" in entry), None)
    earlier_log = _earlier_log(settings["train"])
    started_from = _started_from(settings["train"], begun)
    description = {
        "format": 1,
        "architecture": "tabicl._model.tabicl.TabICL (tabicl >= 2.2, < 3)",
        "task": task,
        "config": settings["model"],
        "parameters": sum(value.numel() for value in weights.values()),
        "preprocessing": PREPROCESSING,
        "training": {
            **{key: counters[key] for key in ("step", "tables", "seconds", "skipped")},
            "weights": "running average" if average else "last",
            "validation_loss": {k: validation[-1][k] for k in ("step", "loss_last", "loss_ema")}
            if validation
            else None,
            "threads": next((entry["threads"] for entry in entries if "threads" in entry), None),
            "torch": next((entry["torch"] for entry in entries if "torch" in entry), None),
            "pool_tables": next(
                (entry["pool_tables"] for entry in reversed(entries) if "pool_tables" in entry), None
            ),
            "changes": changes(entries),
            "settings": {name: settings[name] for name in ("train", "prior", "meta")},
            "started_from": started_from,
            **(
                {"mean_with": [{"seed": its["train"]["seed"], **count} for _, count, its in others]}
                if others
                else {}
            ),
        },
        "dtype": str(dtype).removeprefix("torch."),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "licence": "Apache-2.0",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{task}.safetensors").write_bytes(payload)
    _write(folder / f"{task}.json", json.dumps(description, indent=1) + "\n")
    log_lines = "".join(json.dumps(entry) + "\n" for entry in thin(entries))
    _write(folder / f"{task}_log.jsonl", earlier_log + log_lines)
    _write(folder / "LICENSE", LICENCE_NOTE)
    return description


def runs_of(training: dict[str, Any]) -> list[dict[str, Any]]:
    """Every run that exported weights went through, by their description's ``training``; the first one first."""
    earlier = training.get("started_from")
    return [*(runs_of(earlier["training"]) if earlier else []), training]


def _weights(tensors: dict[str, torch.Tensor], *, average: bool) -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint, or their running average."""
    return part(tensors, "model.") | (part(tensors, "ema.") if average else {})


def _started_from(train: dict[str, Any], sha256: str | None) -> dict[str, Any] | None:
    """What the run began with; the path itself says nothing elsewhere, so only the file name stays in the settings."""
    if train.get("start_from") is None:
        return None
    weights = Path(train["start_from"])
    train["start_from"] = weights.name
    earlier = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    if sha256 not in (None, earlier["sha256"]):
        raise InputError(
            sentence(
                f"{weights} has sha256 {earlier['sha256'][:12]}",
                expected=f"{sha256[:12]}, which the run started from",
                why="the export records how those weights were trained",
                remedy="Put them back, with their JSON, or export this run before the one that replaced them",
            )
        )
    return {"sha256": earlier["sha256"], "training": earlier["training"]}


def _earlier_log(train: dict[str, Any]) -> str:
    """The log beside the weights a run started from; empty if there is none."""
    if train.get("start_from") is None:
        return ""
    weights = Path(train["start_from"])
    log = weights.with_name(f"{weights.stem}_log.jsonl")
    return log.read_text(encoding="utf-8") if log.exists() else ""


def changes(entries: list[dict[str, Any]]) -> list[str]:
    """Settings that were changed when a run was continued, as sentences.

    >>> start = {"event": "start", "step": 0, "config": {"prior": {"cells": 10}}}
    >>> changes([start, {"event": "resume", "step": 7, "config": {"prior": {"cells": 20}}}])
    ['step 7: prior.cells 10 -> 20']
    """
    out: list[str] = []
    before: dict[str, Any] | None = None
    for entry in entries:
        if "config" not in entry:
            continue
        now = _flat(entry["config"])
        if before is not None:
            names = [name for name in before | now if before.get(name) != now.get(name)]
            out += [f"step {entry['step']}: {name} {before.get(name)} -> {now.get(name)}" for name in names]
        before = now
    return out


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in settings.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def thin(entries: list[dict[str, Any]], most: int = 200) -> list[dict[str, Any]]:
    """Events in full, and evenly spaced progress lines; the settings are in ``TASK.json``."""
    progress = [entry for entry in entries if "event" not in entry]
    every = max(1, -(-len(progress) // most))
    kept = {id(entry) for entry in progress[every - 1 :: every]}
    chosen = [entry for entry in entries if "event" in entry or id(entry) in kept]
    return [{k: v for k, v in entry.items() if k != "config"} for entry in chosen]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
