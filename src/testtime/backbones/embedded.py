"""The small TabICL that ships with the package, as a classifier and as a regressor.

The weights are of our own pretraining, verified on load and used offline.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_safetensors
from tabicl._model.tabicl import TabICL
from torch import Tensor, nn
from torch.nn import functional as F

from testtime.adapt.learner import Learner, Rows
from testtime.adapt.losses import pinball
from testtime.backbones.scaling import ColumnScaler
from testtime.backbones.tabicl_forward import ICL_STAGE, tabicl_logits
from testtime.errors import BackboneError, sentence

__all__ = ["EmbeddedBackbone", "TabICLClassifierLearner", "TabICLRegressorLearner", "load_embedded"]

TARGET_CLIP = 20.0
"""The regressor was pretrained on targets within so many standard deviations of the context's mean."""

_CONSTANT = 1e-6  # standard deviations of the table's target; a context that varies less is taken as constant


class _TabICLLearner:
    """A ``TabICL`` module as the adapt engine sees it; subclasses say what its output means.

    The module's weights are marked as not requiring gradients: PyTorch chooses kernels by that mark even where no
    gradient is taken, and the frozen model must give the same bits with and without an adapter at zero.
    """

    def __init__(self, module: nn.Module) -> None:
        self._names = [name for name, _ in module.named_parameters() if not name.endswith("rope.freqs")]
        self.module = module.requires_grad_(False)

    def parts(self) -> Mapping[str, Sequence[str]]:
        """Column and row stages are "encoders", the decoder is "head"; "all" leaves out the fixed frequencies."""
        return {
            "all": self._names,
            "encoders": [name for name in self._names if not name.startswith(ICL_STAGE)],
            "head": [name for name in self._names if name.startswith(f"{ICL_STAGE}.decoder")],
        }


class TabICLClassifierLearner(_TabICLLearner):
    """A classifier on one table with `n_classes` classes."""

    def __init__(self, module: nn.Module, n_classes: int) -> None:
        super().__init__(module)
        self.n_classes = n_classes

    def output(self, context: Rows, query_x: Tensor) -> Tensor:
        """Logits of the table's classes, ``(q, n_classes)``."""
        logits = tabicl_logits(self.module, context.x[None], context.y[None], query_x[None])
        return logits[0, :, : self.n_classes]

    def row_losses(self, output: Tensor, target: Tensor) -> Tensor:
        """Log loss per row in nats."""
        return F.cross_entropy(output, target, reduction="none")


class TabICLRegressorLearner(_TabICLLearner):
    """A regressor that answers with quantiles of the target at equally spaced levels."""

    def output(self, context: Rows, query_x: Tensor) -> Tensor:
        """Quantiles at the levels ``k / (K + 1)``, ``(q, K)``, in the units of ``context.y``; they may cross.

        In pretraining every context had mean 0 and standard deviation 1, so every context, whatever its length, is
        brought to these here, and the answer is mapped back.
        """
        mean, scale = context.y.mean(), context.y.std(correction=0)
        # A constant context says nothing about the spread; the table's is what there is.
        scale = torch.where(scale > _CONSTANT, scale, torch.ones_like(scale))
        target = ((context.y - mean) / scale).clamp(-TARGET_CLIP, TARGET_CLIP)
        quantiles = tabicl_logits(self.module, context.x[None], target[None], query_x[None])
        return mean + scale * quantiles[0]

    def row_losses(self, output: Tensor, target: Tensor) -> Tensor:
        """Continuous ranked probability score per row: twice the pinball loss, averaged over the levels."""
        return 2.0 * pinball(output, target)


class EmbeddedBackbone:
    """The embedded classifier or, with ``max_classes=0``, the embedded regressor.

    The base module is held once per process and never changed; estimators work on copies (a few MB each).
    """

    name = "embedded"
    max_features = 500

    def __init__(self, module: nn.Module, fingerprint: str, max_classes: int) -> None:
        self._module = module
        self.fingerprint = fingerprint
        self.max_classes = max_classes

    def new_module(self) -> nn.Module:
        """Return a private copy of the base module."""
        return copy.deepcopy(self._module)

    def learner(self, module: nn.Module, n_classes: int) -> Learner:
        """Return the adapt engine's view of `module`."""
        return (
            TabICLClassifierLearner(module, n_classes) if self.max_classes else TabICLRegressorLearner(module)
        )

    def fit_scaler(self, x: NDArray[np.float64]) -> ColumnScaler:
        """Fit the column preprocessing."""
        return ColumnScaler.fit(x)

    def load_scaler(self, arrays: Mapping[str, NDArray[np.float64]]) -> ColumnScaler:
        """Rebuild the column preprocessing."""
        return ColumnScaler.from_arrays(arrays)


def _read(name: str) -> bytes:
    return (files("testtime.backbones") / "weights" / name).read_bytes()


def load_embedded(task: str = "classifier") -> EmbeddedBackbone:
    """Load the embedded model from the package's own files, once per process.

    Parameters
    ----------
    task
        "classifier" or "regressor".

    Raises
    ------
    BackboneError
        When the weights are missing or differ from the sha256 beside them, or when the installed tabicl lays out its
        module differently.
    """
    return _load(task)


@lru_cache(maxsize=2)
def _load(task: str) -> EmbeddedBackbone:
    try:
        card: dict[str, Any] = json.loads(_read(f"{task}.json"))
        payload = _read(f"{task}.safetensors")
    except OSError as error:
        raise BackboneError(
            sentence(f"the embedded weights cannot be read ({error})", remedy="Reinstall testtime")
        ) from error
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
    # Building the module draws random weights, which are overwritten; the caller's random stream must not notice.
    with torch.random.fork_rng(devices=[]):
        module = TabICL(**card["config"])
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
    return EmbeddedBackbone(module.train(), fingerprint, int(card["config"]["max_classes"]))
