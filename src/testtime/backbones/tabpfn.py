"""TabPFN, versions 2 to 3.5, with its official checkpoints, as a classifier and as a regressor."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

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
)
from testtime.backbones.modules import HeldModule
from testtime.errors import BackboneError, InputError, nearest, sentence

if TYPE_CHECKING:
    from tabpfn.base import ModelSpecs

    from testtime.backbones.tabpfn_views import TabPFNView

__all__ = ["VERSIONS", "LicenceNote", "LoadedTabPFN", "TabPFNBackbone"]

VERSIONS = ("v2", "v2.5", "v2.6", "v3", "v3.5", "v3.5-fast")
_HUB = "https://huggingface.co/Prior-Labs"
_TERMS = "Prior Labs: non-commercial licence of the weights"
LICENCES = {
    "v2": f"Prior Labs License (Apache 2.0 with attribution), {_HUB}/TabPFN-v2-clf/blob/main/LICENSE.txt",
    "v2.5": f"{_TERMS}, https://docs.priorlabs.ai/models#tabpfn-model-license",
    "v2.6": f"{_TERMS}, https://docs.priorlabs.ai/models#tabpfn-model-license",
    "v3": f"{_TERMS}, {_HUB}/tabpfn_3/blob/main/LICENSE",
    "v3.5": f"{_TERMS}, {_HUB}/tabpfn_3_5/blob/main/LICENSE",
}
"""Terms of the weights by version, as tabpfn 9.2 states them."""

RECIPE = Recipe(
    rates={"encoders": 1e-4, "all": 1e-5, "norms": 3e-4, "head": 1e-4, "lora": 1e-4},
    n_steps=30,
    n_steps_short=60,
)


class LicenceNote(UserWarning):
    """The terms of weights that are not ours; warned once for each version in a process."""


@dataclass(frozen=True)
class TabPFNBackbone:
    """Which TabPFN to use; pass it, or its name, as ``backbone=``.

    Parameters
    ----------
    model_path
        Checkpoint file. None takes the official one, which tabpfn downloads once its licence was accepted.
    version
        One of :data:`VERSIONS`; None takes the default of the installed tabpfn. Only without `model_path`, which says
        its own.

    Examples
    --------
    >>> TabPFNBackbone(version="v2").name, TabPFNBackbone("weights/mine.ckpt").name
    ('tabpfn:v2', 'tabpfn:weights/mine.ckpt')
    """

    model_path: str | Path | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.model_path is not None:
            raise InputError(
                sentence(
                    f"model_path={str(self.model_path)!r} together with version={self.version!r}",
                    expected="one of the two",
                    why="a file says its own version",
                )
            )
        if self.version is not None and self.version not in VERSIONS:
            expected = "one of " + ", ".join(map(repr, VERSIONS))
            got = f"version={self.version!r} of TabPFN"
            raise InputError(sentence(got, expected=expected, remedy=nearest(self.version, VERSIONS)))

    @classmethod
    def named(cls, where: str) -> TabPFNBackbone:
        """Return what a name says after its colon: a version, a file, or nothing."""
        meant = re.fullmatch(r"v\d+(\.\d+)*", where) and not Path(where).exists()
        return cls(version=where) if where in VERSIONS or meant else cls(where or None)

    @property
    def name(self) -> str:
        """What to pass as ``backbone=`` in place of this object."""
        where = self.model_path or self.version
        return f"tabpfn:{where}" if where else "tabpfn"

    def load(self, task: str) -> LoadedTabPFN:
        """Read the weights, once per process.

        Parameters
        ----------
        task
            "classifier" or "regressor".

        Raises
        ------
        MissingExtra
            When tabpfn is not installed.
        BackboneError
            When the weights are not there, their licence was not accepted, they belong to another architecture or task,
            or the installed tabpfn is not known.
        """
        check_package("tabpfn", (9, 2), 10, extra="tabpfn")
        if self.model_path is None:
            path, name = _official(self.version, task), self.name
        else:
            path = existing_file(self.model_path, "TabPFN")
            name = f"tabpfn:{path}"
        return _load(identity(path), task, name)


class LoadedTabPFN:
    """A TabPFN architecture behind the interface of a backbone.

    Parameters
    ----------
    specs
        The module in float32 on the CPU, and the checkpoint's settings.
    version
        Of the architecture.
    fingerprint
        sha256 of its file.
    name
        As users pass it.
    task
        "classifier" or "regressor".
    """

    def __init__(self, specs: ModelSpecs, version: str, fingerprint: str, name: str, task: str) -> None:
        settings = specs.inference_config
        self._specs, self._task = specs, task
        self._module = HeldModule(specs.model.eval())
        self.version, self.fingerprint, self.name = version, fingerprint, name
        self.licence = LICENCES[version]
        # Up to version 2.6 attention over columns and over rows alternates, and little comes before both.
        self.recipe = RECIPE if version in ("v3", "v3.5") else dataclasses.replace(RECIPE, adapt="lora")
        self.limits = Limits(
            classes=settings.MAX_NUMBER_OF_CLASSES if task == "classifier" else 0,
            features=settings.MAX_NUMBER_OF_FEATURES,
            context=min(10_000, settings.MAX_NUMBER_OF_SAMPLES),
            context_on_cpu=5000 if version in ("v3", "v3.5") else 1000,  # tabpfn's own limits
            dtypes=(torch.float32,),  # up to 2.6, embeddings are drawn by a seed, and others in float64
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _reload, (self.name.partition(":")[2], self._task, self.fingerprint)

    def learner(self, task: Task, device: torch.device, dtype: torch.dtype) -> Learner:
        """Return a learner for one thread."""
        from testtime.backbones.tabpfn_learner import TabPFNClassifierLearner, TabPFNRegressorLearner

        module, trainable = self._module.lend(device, dtype), self._module.trainable
        temperature = float(self._specs.inference_config.SOFTMAX_TEMPERATURE)
        if task.n_classes:
            return TabPFNClassifierLearner(module, trainable, task.n_classes, temperature)
        distribution: Any = self._specs.norm_criterion
        return TabPFNRegressorLearner(module, trainable, distribution.borders, temperature)

    def views(
        self, reference: Encoded, y: NDArray, task: Task, n: int, seed: np.random.SeedSequence
    ) -> Sequence[TabPFNView]:
        """Return the official estimator's views."""
        from testtime.backbones.tabpfn_views import tabpfn_views

        return tabpfn_views(self._specs, reference, y, task.n_classes, n, seed)


def _reload(where: str, task: str, fingerprint: str = "") -> LoadedTabPFN:
    return same_weights(TabPFNBackbone.named(where).load(task), fingerprint)


def _official(version: str | None, task: Any) -> Path:
    """The checkpoint the installed tabpfn takes by default: from its cache, or downloaded by it."""
    from tabpfn.constants import ModelVersion
    from tabpfn.errors import TabPFNLicenseError
    from tabpfn.model_loading import download_model, resolve_model_path, resolve_model_version

    chosen = resolve_model_version(None) if version is None else ModelVersion(version)
    (path,), _, (filename,), _ = resolve_model_path(None, task, chosen.value)
    if path.exists():
        return path
    failed = download_model(path, version=chosen, which=task, model_name=filename)
    if failed == "ok":
        return path
    remedy = f"Put {filename} into {str(path.parent)!r}, or pass backbone='tabpfn:PATH', or use backbone='embedded'"
    if any(isinstance(error, TabPFNLicenseError) for error in failed):
        raise BackboneError(
            sentence(
                f"the licence of the TabPFN {chosen.value} weights was not accepted on this machine",
                why="Prior Labs asks for it before a download",
                remedy="Accept it at https://ux.priorlabs.ai and set TABPFN_TOKEN to the key shown there. "
                + remedy,
            )
        ) from failed[0]
    raise BackboneError(
        sentence(
            f"the weights {filename!r} of TabPFN {chosen.value} are neither in the cache nor could they be downloaded",
            why=f"{type(failed[0]).__name__}: {_first_line(failed[0])}",
            remedy=remedy,
        )
    ) from failed[0]


@lru_cache(maxsize=4)
def _load(file: tuple[str, int, int], task: Any, name: str) -> LoadedTabPFN:
    from tabpfn.base import ModelSpecs
    from tabpfn.model_loading import load_model

    path = Path(file[0])
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
            module, criterion, config, settings = load_model(path=path, estimator_type=task)
    except (
        Exception
    ) as error:  # KeyError, ValidationError, RuntimeError, ...: it is not written for other files
        raise BackboneError(
            sentence(
                f"{str(path)!r} is no checkpoint of a TabPFN {task} that can be used",
                expected="one of TabPFN 2 to 3.5, as Prior Labs publishes them",
                why=f"{type(error).__name__}: {_first_line(error)}",
                remedy=f"Point to the checkpoint of a {task}, or download it again",
            )
        ) from error
    version = type(module).__module__.rpartition("tabpfn_")[2].replace("_", ".")
    if version not in LICENCES:
        raise BackboneError(
            sentence(f"{str(path)!r} holds TabPFN {version}", expected="one of " + ", ".join(LICENCES))
        )
    if not all_finite(module):
        raise BackboneError(
            sentence(
                f"{str(path)!r} is no checkpoint that can be used",
                why="some of its weights are not finite",
                remedy="Download it again, or point to another file",
            )
        )
    borders: Any = criterion if task == "regressor" else None
    loaded = LoadedTabPFN(
        ModelSpecs(module.float(), config, settings, borders), version, file_sha256(path), name, task
    )
    warnings.warn(
        f"The weights of TabPFN {version} have their own licence. {loaded.licence}.",
        LicenceNote,
        stacklevel=2,
    )
    return loaded


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]
