"""``save`` and ``load`` of fitted estimators: what prediction needs, without the base weights and without pickle."""

from __future__ import annotations

import numbers
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from testtime.errors import InputError, StoreError, sentence
from testtime.estimators.base import TTTBase, load_backbone
from testtime.estimators.columns import ColumnEncoder
from testtime.estimators.members import Member
from testtime.estimators.settings import check_settings
from testtime.results import Adaptation
from testtime.store import SavedAdapter, open_adapter, save_adapter

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = ["load", "save"]


def save(estimator: TTTBase, directory: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a fitted estimator; see :meth:`testtime.estimators.base.TTTBase.save`."""
    kind = type(estimator)
    if kind is not _kinds().get(kind.__name__):
        raise InputError(
            sentence(
                f"an estimator of class {kind.__name__} cannot be saved",
                expected=" or ".join(f"a {name}" for name in _kinds()),
                why="load gives back one of these, without what a class of yours adds",
                remedy="Keep one of these inside of your class and save that",
            )
        )
    n_context = estimator.adaptation_.n_context
    tensors: dict[str, torch.Tensor] = {}
    arrays: dict[str, np.ndarray] = {
        **estimator._target_arrays(),
        "context_indices": estimator.context_indices_,
        "context_x": estimator._x[:n_context],
        "context_y": estimator._y[:n_context],
        **estimator._scaler.to_arrays(),
    }
    for m, member in enumerate(estimator._members):
        arrays[f"member_{m}_columns"], arrays[f"member_{m}_codes"] = member.columns, member.codes
        for name, tensor in (member.state or {}).items():
            tensors[f"{m}/{name}"] = tensor.contiguous().cpu()
    params = estimator.get_params(deep=False)
    seed = params["random_state"]  # a generator has no value that could be written down
    params["random_state"] = int(seed) if isinstance(seed, numbers.Integral) else None
    params["guard"] = bool(params["guard"])
    meta = {
        "estimator": type(estimator).__name__,
        "params": params,
        "columns": estimator._encoder.to_list(),
        "n_features_in": estimator.n_features_in_,
        "feature_names": [str(name) for name in getattr(estimator, "feature_names_in_", [])],
        "n_members": len(estimator._members),
        "adaptation": estimator.adaptation_.to_dict(),
    }
    save_adapter(
        directory, tensors, meta, arrays=arrays, base_fingerprint=estimator._fingerprint, overwrite=overwrite
    )
    return Path(directory)


def load(directory: str | os.PathLike[str], *, device: str | None = None) -> TTTClassifier | TTTRegressor:
    """Read an estimator that was saved with ``save``.

    It predicts what the saved one predicted, bit for bit on the same machine. It holds the served context only, so
    ``predict_proba_at`` and ``predict_at`` cannot go beyond it.

    Parameters
    ----------
    directory
        Folder written by ``save``.
    device
        Where to predict; None takes the device it was fitted on.

    Raises
    ------
    StoreError
        When a file is missing, truncated or changed, was written by a newer version, or belongs to another base model.
    """
    with open_adapter(directory) as saved:
        return _rebuilt(saved, device)


def _kinds() -> dict[str, type[TTTClassifier] | type[TTTRegressor]]:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

    return {kind.__name__: kind for kind in (TTTClassifier, TTTRegressor)}


def _rebuilt(saved: SavedAdapter, device: str | None) -> TTTClassifier | TTTRegressor:
    meta, kinds = saved.meta, _kinds()
    kind = kinds.get(meta.get("estimator", ""))
    if kind is None:
        raise StoreError(
            sentence(
                f"{str(saved.directory)!r} holds {meta.get('estimator', 'an adapter without an estimator')!r}",
                expected="a folder written by " + " or ".join(f"{name}.save" for name in kinds),
            )
        )
    params = {**meta["params"], **({} if device is None else {"device": device})}
    backbone = load_backbone(params["backbone"], kind._task)
    saved.refuse_other_base(backbone.fingerprint)
    tensors, arrays = saved.tensors(), saved.arrays()
    estimator = kind(**params)
    estimator.n_features_in_ = meta["n_features_in"]
    if meta["feature_names"]:
        estimator.feature_names_in_ = np.array(meta["feature_names"], dtype=object)
    estimator._load_target(arrays)
    estimator.context_indices_ = arrays["context_indices"]
    estimator.adaptation_ = Adaptation.from_dict(meta["adaptation"])
    estimator._x, estimator._y = arrays["context_x"], arrays["context_y"]
    estimator._encoder = ColumnEncoder.from_list(meta["columns"])
    estimator._scaler = backbone.load_scaler(arrays)
    estimator._fingerprint = backbone.fingerprint
    states: list[dict[str, torch.Tensor]] = [{} for _ in range(meta["n_members"])]
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        states[int(index)][name] = torch.from_numpy(np.array(tensor))
    estimator._members = tuple(
        Member(arrays[f"member_{m}_columns"], arrays[f"member_{m}_codes"], state or None)
        for m, state in enumerate(states)
    )
    estimator._serve(check_settings(params))
    return estimator
