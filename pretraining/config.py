"""Settings of a pretraining run, read from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testtime.errors import InputError

from .meta import MetaConfig
from .model import SMALL
from .prior import PriorConfig


@dataclass(frozen=True)
class TrainConfig:
    """The loop.

    Attributes
    ----------
    seed : int
        Determines every batch, and the initial weights unless ``initial_seed`` does: runs that meet need the same.
    initial_seed : int or None
        Determines the initial weights.
    start_from : str or None
        Exported weights to begin with. Tensors that another task shapes differently (target encoders and the
        last layer, between classifier and regressor) stay at their random initial values; between regressors the
        last layer is interpolated to the number of quantiles.
    steps : int
        Optimiser steps over which the learning rate falls linearly to zero.
    budget_seconds : float or None
        Training time, summed over resumed runs, after which the learning rate is zero as well: progress is
        the larger of the two shares. ``None`` makes the run a function of the seed alone.
    clock : "wall" or "cpu"
        What the budget counts. CPU seconds make runs comparable that shared a machine.
    lr, warmup_steps, weight_decay, clip_norm : float
        Muon for the matrices of the attention blocks, AdamW for the rest, same rate.
    ema_decay : float
        Decay per step of the running average of the weights.
    checkpoint_seconds : float
        Time between two writes of ``last.safetensors``.
    keep_every, validate_every, log_every : int
        Steps between kept snapshots, validations and log lines.
    validation_batches : int
        Size of the fixed synthetic validation set.
    meet_every : int
        With another run beside this one (``train --peer``): steps between two means of the weights of both.
    """

    seed: int = 1
    initial_seed: int | None = None
    steps: int = 10_000
    start_from: str | None = None
    budget_seconds: float | None = None
    clock: str = "wall"
    lr: float = 2e-3
    warmup_steps: int = 200
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    checkpoint_seconds: float = 180.0
    keep_every: int = 1000
    validate_every: int = 1000
    log_every: int = 50
    validation_batches: int = 16
    meet_every: int = 200


@dataclass(frozen=True)
class Config:
    """A whole run: ``model`` holds constructor arguments of ``TabICL``."""

    train: TrainConfig = field(default_factory=TrainConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    model: dict[str, Any] = field(default_factory=lambda: dict(SMALL))
    meta: MetaConfig = field(default_factory=MetaConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Config:
        """From plain data; what is left out takes the default.

        Raises
        ------
        InputError
            For a section or a setting that does not exist.
        """
        unknown = set(data) - {"train", "prior", "meta", "model"}
        if unknown:
            raise InputError(
                f"unknown section {sorted(unknown)} in the configuration; expected train, prior, meta, model."
            )
        config = cls(
            train=_fill(TrainConfig, data.get("train", {})),
            prior=_fill(PriorConfig, data.get("prior", {})),
            meta=_fill(MetaConfig, data.get("meta", {})),
            model={**SMALL, **data.get("model", {})},
        )
        if config.prior.regression != (config.model["max_classes"] == 0):
            raise InputError(
                f"prior.regression is {config.prior.regression} and model.max_classes is "
                f"{config.model['max_classes']}; expected 0 classes for regression and only for it."
            )
        if config.train.clock not in ("wall", "cpu"):
            raise InputError(f"unknown clock {config.train.clock!r}; expected 'wall' or 'cpu'.")
        return config


def load_config(path: Path) -> Config:
    """Read a TOML file."""
    return Config.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))


def _fill(kind: Any, data: dict[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    unknown = set(data) - known
    if unknown:
        raise InputError(
            f"unknown setting {sorted(unknown)} for {kind.__name__}; expected some of {sorted(known)}."
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})
