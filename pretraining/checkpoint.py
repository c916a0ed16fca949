"""Checkpoints: one safetensors file with weights, running average and optimiser state; counters as metadata.

A file is written under another name and then renamed, so a kill at any moment leaves the old or the new one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tabicl._model.tabicl import TabICL
from torch import Tensor


@dataclass
class State:
    """Everything a run is, between two steps.

    Attributes
    ----------
    model : TabICL
    ema : dict of str to Tensor
        Running average of the model's parameters, by name.
    optimiser : torch.optim.Optimizer
    step, tables : int
        Steps done and tables seen.
    seconds : float
        Training time, summed over resumed runs.
    skipped : int
        Steps without an update because the loss or a gradient was not finite.
    """

    model: TabICL
    ema: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    tables: int = 0
    seconds: float = 0.0
    skipped: int = 0


def save_state(path: Path, state: State, config: dict[str, Any], *, optimiser: bool = True) -> None:
    """Write a checkpoint; without the optimiser it is a snapshot for evaluation and export."""
    tensors = {f"model.{k}": v.detach() for k, v in state.model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in state.ema.items()}
    meta = {k: getattr(state, k) for k in ("step", "tables", "seconds", "skipped")}
    if optimiser:
        parameters = [p for group in state.optimiser.param_groups for p in group["params"]]
        for i, parameter in enumerate(parameters):
            for key, value in state.optimiser.state[parameter].items():
                tensors[f"optimiser.{i}.{key}"] = value
        meta["group_steps"] = [group.get("step", 0) for group in state.optimiser.param_groups]
    part = path.with_name(path.name + ".part")
    packed = {k: v.contiguous().clone() for k, v in tensors.items()}
    save_file(packed, part, metadata={"state": json.dumps(meta), "config": json.dumps(config)})
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Tensors, counters and configuration of a checkpoint."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a dict
    return tensors, json.loads(metadata["state"]), json.loads(metadata["config"])


def restore(state: State, path: Path) -> dict[str, Any]:
    """Fill a fresh state from a checkpoint with optimiser; returns the configuration stored in it."""
    tensors, meta, config = read_checkpoint(path)
    state.model.load_state_dict(part(tensors, "model."))
    average = part(tensors, "ema.")
    state.ema = {name: average[name] for name in state.ema}
    for group, step in zip(state.optimiser.param_groups, meta.pop("group_steps"), strict=True):
        if step:
            group["step"] = step
    parameters = [p for group in state.optimiser.param_groups for p in group["params"]]
    for name, value in part(tensors, "optimiser.").items():
        number, key = name.split(".", 1)
        state.optimiser.state[parameters[int(number)]][key] = value
    for key, value in meta.items():
        setattr(state, key, value)
    return config


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
