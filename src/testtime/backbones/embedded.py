"""The small TabICL that ships with the package, as a classifier and as a regressor.

The weights are of our own pretraining, verified on load and used offline. There is one set for each generation of
them: what was saved with an older one is loaded with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_safetensors
from tabicl._model.tabicl import TabICL
from torch import nn

from testtime.adapt.learner import Learner
from testtime.adapt.task import Task
from testtime.backbones.base import Encoded, Limits, Recipe
from testtime.backbones.modules import HeldModule
from testtime.backbones.scaling import ColumnScaler
from testtime.backbones.tabicl_learner import TabICLClassifierLearner, TabICLRegressorLearner
from testtime.backbones.views import ShuffledView, shuffled_views
from testtime.errors import BackboneError, InputError, sentence

__all__ = ["DEFAULT", "GENERATIONS", "EmbeddedBackbone", "generation_of", "load_embedded"]

GENERATIONS = {"classifier": {1: "", 2: "second"}, "regressor": {1: "", 2: "second", 3: "third"}}
"""By task, the folder of the weights of each generation within ``weights``; a newer one comes beside the older ones."""

DEFAULT = {task: max(folders) for task, folders in GENERATIONS.items()}
"""The generation called "embedded", by task; "embedded:1" names one."""

LONGEST = 4096
"""Context rows that are served where there are as many. Pretraining had 1,761 at most; losses fall beyond that, too."""

CELLS = 50 * LONGEST
"""Of a context: with more columns than 50 fewer rows are served, since memory and time grow with both."""

RECIPE = Recipe(
    rates={"encoders": 1e-3, "all": 5e-4, "norms": 3e-3, "head": 1e-3, "lora": 3e-3},
    longest_episode=1024,
    context_draws=8,
    together_rows=16,
)
"""What both tasks have in common."""

RECIPES = {"classifier": replace(RECIPE, longer=(2.0,)), "regressor": RECIPE}
"""By task. With numeric targets further steps changed nothing on development tables."""


class EmbeddedBackbone:
    """The embedded classifier or, with ``limits.classes == 0``, the embedded regressor.

    The base is held once per process, device and dtype, and never written.
    """

    licence = "Apache-2.0"

    def __init__(
        self, module: nn.Module, fingerprint: str, max_classes: int, generation: int | None = None
    ) -> None:
        self._module = HeldModule(module)
        task = "classifier" if max_classes else "regressor"
        self.recipe = RECIPES[task]
        self._arguments = (task,) if generation is None else (task, generation)
        default = generation in (None, DEFAULT[task])
        self.name = "embedded" if default else f"embedded:{generation}"
        self.fingerprint = fingerprint
        self.limits = Limits(classes=max_classes, features=500, context=LONGEST, cells=CELLS)

    def __reduce__(self) -> tuple[Any, ...]:
        return load_embedded, self._arguments

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        """Return a learner for one thread."""
        module = self._module.lend(device, dtype)
        if task.n_classes:
            return TabICLClassifierLearner(module, task.n_classes)
        return TabICLRegressorLearner(module)

    def views(
        self, reference: Encoded, y: NDArray, task: Task, n: int, seed: np.random.SeedSequence
    ) -> Sequence[ShuffledView]:
        """Return views with one scaling and `n` orders of columns and class codes; the first has the table's own."""
        scaler = ColumnScaler.fit(reference.x)
        return shuffled_views(scaler, reference.x.shape[1], task.n_classes, n, seed)


def _read(name: str) -> bytes:
    return (files("testtime.backbones") / "weights" / name).read_bytes()


def generation_of(fingerprint: str, task: str) -> int | None:
    """Return the generation whose weights have this SHA-256, or None."""
    for generation in GENERATIONS[task]:
        if _card(task, generation)["sha256"] == fingerprint:
            return generation
    return None


def load_embedded(task: str = "classifier", generation: int | None = None) -> EmbeddedBackbone:
    """Load the embedded model from the package's own files, once per process.

    Parameters
    ----------
    task
        "classifier" or "regressor".
    generation
        One of those in :data:`GENERATIONS`; None takes the newest.

    Raises
    ------
    InputError
        For a generation that does not exist.
    BackboneError
        When the weights are missing or differ from the sha256 beside them, or when the installed tabicl lays out its
        module differently.
    """
    if generation is None:
        generation = DEFAULT[task]
    if generation not in GENERATIONS[task]:
        raise InputError(
            sentence(
                f"generation {generation!r} of the embedded {task}",
                expected=" or ".join(map(str, GENERATIONS[task])),
                remedy="Leave it out to take the default, or install a newer testtime",
            )
        )
    return _load(task, generation)


def _file(task: str, generation: int, ending: str) -> str:
    return "/".join(filter(None, (GENERATIONS[task][generation], f"{task}.{ending}")))


def _card(task: str, generation: int) -> dict[str, Any]:
    """What is written beside the weights: arguments of the module, sha256."""
    try:
        return json.loads(_read(_file(task, generation, "json")))
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> BackboneError:
    return BackboneError(
        sentence(f"the embedded weights cannot be read ({error})", remedy="Reinstall testtime")
    )


@cache
def _load(task: str, generation: int) -> EmbeddedBackbone:
    card = _card(task, generation)
    try:
        payload = _read(_file(task, generation, "safetensors"))
    except OSError as error:
        raise _unreadable(error) from error
    fingerprint = hashlib.sha256(payload).hexdigest()
    if fingerprint != card["sha256"]:
        raise BackboneError(
            sentence(
                f"the embedded weights have sha256 {fingerprint[:12]}...",
                expected=f"{card['sha256'][:12]}...",
                why="the file was changed or damaged",
                remedy="Reinstall testtime",
            )
        )
    # Building the module draws random weights, which are overwritten; the caller's random stream, inference mode and
    # default dtype must not matter.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        module = TabICL(**card["config"]).float()
        state = {name: tensor.float() for name, tensor in load_safetensors(payload).items()}
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise BackboneError(
                sentence(
                    "the embedded weights do not fit the installed tabicl",
                    expected="tabicl >= 2.2, < 3",
                    why=str(error).splitlines()[0],
                    remedy="pip install 'tabicl>=2.2,<3'",
                )
            ) from error
    return EmbeddedBackbone(module.train(), fingerprint, int(card["config"]["max_classes"]), generation)
