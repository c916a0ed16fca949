"""TabICL with its official checkpoints, as a classifier and as a regressor."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tabicl._model.tabicl import TabICL

from testtime.adapt.learner import Learner
from testtime.adapt.task import Task
from testtime.backbones.base import Encoded, Limits, Recipe
from testtime.backbones.checkpoints import (
    all_finite,
    check_package,
    existing_file,
    file_sha256,
    identity,
    same_weights,
    told,
)
from testtime.backbones.modules import HeldModule
from testtime.backbones.tabicl_learner import TabICLClassifierLearner, TabICLRegressorLearner
from testtime.backbones.tabicl_views import TabICLView, tabicl_views
from testtime.errors import BackboneError, sentence

__all__ = ["LoadedTabICL", "TabICLBackbone"]

HUB = "jingang/TabICL"
LICENCE = "BSD-3-Clause"
TEMPERATURE = 0.9
"""Of the softmax, as in the official classifier."""

RECIPE = Recipe(
    # "all" is the rate of tabicl's own tuner; smaller parts move faster, as they do in the embedded model.
    rates={"encoders": 1e-4, "all": 1e-5, "norms": 3e-4, "head": 1e-4, "lora": 1e-4},
    n_steps=30,
    n_steps_short=60,
)


@dataclass(frozen=True)
class TabICLBackbone:
    """Which TabICL to use; pass it, or its name, as ``backbone=``.

    Parameters
    ----------
    model_path
        Checkpoint file. None takes the official one of the installed tabicl, downloaded once from the hub.

    Examples
    --------
    >>> TabICLBackbone("weights/tabicl-classifier.ckpt").name
    'tabicl:weights/tabicl-classifier.ckpt'
    """

    model_path: str | Path | None = None

    @property
    def name(self) -> str:
        """What to pass as ``backbone=`` in place of this object."""
        return "tabicl" if self.model_path is None else f"tabicl:{self.model_path}"

    def load(self, task: str) -> LoadedTabICL:
        """Read the weights, once per process.

        Parameters
        ----------
        task
            "classifier" or "regressor".

        Raises
        ------
        BackboneError
            When the weights are not there, belong to another architecture, version or task, or the installed tabicl is
            not known.
        """
        check_package("tabicl", (2, 2), 3)
        path = _official(task) if self.model_path is None else existing_file(self.model_path, "tabicl")
        name = "tabicl" if self.model_path is None else f"tabicl:{path}"
        return _load(identity(path), task, name)


class LoadedTabICL:
    """A TabICL module behind the interface of a backbone.

    Parameters
    ----------
    module
        In float32 on the CPU.
    fingerprint
        sha256 of its file.
    name
        As users pass it.
    """

    licence = LICENCE
    recipe = RECIPE

    def __init__(self, module: TabICL, fingerprint: str, name: str) -> None:
        self._module = HeldModule(module.eval())
        self.fingerprint = fingerprint
        self.name = name
        self.limits = Limits(
            classes=int(module.max_classes),
            features=2000,
            context=10_000,
            dtypes=(torch.float32, torch.float64),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        path = self.name.partition(":")[2] or None
        return _reload, (path, "classifier" if self.limits.classes else "regressor", self.fingerprint)

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        """Return a learner for one thread."""
        module = self._module.lend(device, dtype)
        if task.n_classes:
            return TabICLClassifierLearner(module, task.n_classes, TEMPERATURE)
        return TabICLRegressorLearner(module)

    def views(
        self, reference: Encoded, y: NDArray, task: Task, n: int, seed: np.random.SeedSequence
    ) -> Sequence[TabICLView]:
        """Return the official estimator's views."""
        return tabicl_views(reference, y, task.n_classes, n, seed)


def _reload(path: str | None, task: str, fingerprint: str = "") -> LoadedTabICL:
    return same_weights(TabICLBackbone(path).load(task), fingerprint)


def _official(task: str) -> Path:
    """The checkpoint the installed tabicl takes by default: from the hub's cache, or downloaded."""
    import tabicl
    from huggingface_hub import hf_hub_download

    estimator = tabicl.TabICLClassifier if task == "classifier" else tabicl.TabICLRegressor
    filename = inspect.signature(estimator).parameters["checkpoint_version"].default
    try:
        return Path(hf_hub_download(repo_id=HUB, filename=filename))
    except Exception as error:  # the hub's own errors, and those of the three libraries it downloads with
        raise BackboneError(
            sentence(
                f"the weights {filename!r} of TabICL are neither in the cache nor could they be downloaded",
                why=f"{type(error).__name__} from huggingface.co/{HUB}",
                remedy=f"Download https://huggingface.co/{HUB}/resolve/main/{filename} on a machine with a network "
                "and pass backbone='tabicl:PATH', or use backbone='embedded'",
            )
        ) from error


@lru_cache(maxsize=4)
def _load(file: tuple[str, int, int], task: str, name: str) -> LoadedTabICL:
    path = Path(file[0])
    config, state = _read(path)
    # Building the module draws random weights, which are overwritten; the caller's random stream must not matter.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        try:
            module = TabICL(**config).float()
            module.load_state_dict(state)
        except Exception as error:  # a configuration of other values fails anywhere in its modules
            raise _unusable(path, f"it does not fit the installed tabicl: {told(error)}") from error
    if not all_finite(module):
        raise _unusable(path, "some of its weights are not finite")
    if not module.norm_first or (module.col_affine and module.col_embedder.in_linear.in_features > 1):
        raise _unusable(path, "its blocks are laid out in a way that no official checkpoint is")
    found = "classifier" if module.max_classes else "regressor"
    if found != task:
        raise BackboneError(
            sentence(
                f"{str(path)!r} holds a TabICL {found}",
                expected=f"a {task}",
                why=f"the estimator is a {task}",
                remedy=f"Point to the checkpoint of a {task}",
            )
        )
    return LoadedTabICL(module, file_sha256(path), name)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and storage errors: damaged files fail in many ways
        raise _unusable(path, f"it cannot be read: {told(error)}") from error
    parts = (
        [checkpoint.get(name) for name in ("config", "state_dict")]
        if isinstance(checkpoint, dict)
        else [None]
    )
    if not all(isinstance(part, dict) for part in parts):
        raise _unusable(path, "it holds no 'config' and 'state_dict'")
    if "architecture_name" in checkpoint or "emsize" in checkpoint["config"]:
        raise _unusable(path, "it holds a TabPFN, which is backbone='tabpfn:PATH'")
    return checkpoint["config"], checkpoint["state_dict"]


def _unusable(path: Path, why: str) -> BackboneError:
    return BackboneError(
        sentence(
            f"{str(path)!r} is no checkpoint that can be used",
            expected="one of TabICL 1 or 2, as on huggingface.co/" + HUB,
            why=why,
            remedy="Download it again, or point to another file",
        )
    )
