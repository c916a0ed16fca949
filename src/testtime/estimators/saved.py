"""``save`` and ``load`` of fitted estimators: an adapted table and the arguments of the estimator."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from testtime.backbones.base import Backbone
from testtime.backbones.registry import load_backbone, load_saved_backbone
from testtime.errors import BackboneError, InputError, MissingExtra, StoreError, sentence
from testtime.estimators.settings import check_settings, written
from testtime.store import Record, SavedAdapter, open_adapter, save_adapter
from testtime.table.config import FitConfig
from testtime.table.saved import StoredTable, from_stored, to_stored
from testtime.table.schema import TableMeta

if TYPE_CHECKING:
    from testtime.estimators.base import TTTBase
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = ["EstimatorMeta", "load", "read_meta", "save"]


class EstimatorMeta(Record):
    """What the manifest says about an estimator."""

    estimator: Literal["TTTClassifier", "TTTRegressor"]
    params: dict[str, Any]
    n_features_in: Annotated[int, Field(ge=1, le=10_000_000)]
    feature_names: list[str]
    table: TableMeta


def save(
    estimator: TTTBase,
    directory: str | os.PathLike[str],
    *,
    documents: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a fitted estimator, and documents beside it; see :meth:`testtime.estimators.base.TTTBase.save`."""
    kind = _public_kind(estimator)
    table = estimator._table
    stored = to_stored(table)
    fitted = vars(estimator).get("_fitted_params")  # a pickle of before has none
    params = written(estimator.get_params(deep=False)) if fitted is None else dict(fitted)
    params["backbone"] = table.backbone.name
    meta = EstimatorMeta(
        estimator=kind,
        params=params,
        n_features_in=estimator.n_features_in_,
        feature_names=[str(name) for name in getattr(estimator, "feature_names_in_", [])],
        table=stored.meta,
    )
    save_adapter(
        directory,
        stored.tensors,
        meta.model_dump(),
        arrays=stored.arrays | {"context_indices": estimator.context_indices_},
        documents=documents,
        base_fingerprint=table.backbone.fingerprint,
        overwrite=overwrite,
    )
    return Path(directory)


def _public_kind(estimator: TTTBase) -> Literal["TTTClassifier", "TTTRegressor"]:
    """The public class an estimator is loaded as: its own, or the one it was derived from."""
    from testtime.estimators.classifier import TTTClassifier

    return "TTTClassifier" if isinstance(estimator, TTTClassifier) else "TTTRegressor"


def load(
    directory: str | os.PathLike[str], *, device: str | None = None, backbone: Any = None
) -> TTTClassifier | TTTRegressor:
    """Read an estimator that was saved with ``save``.

    It predicts what the saved one predicted, bit for bit on the same machine. It holds the rows that are served, and
    1,024 where there are as many, so ``predict_proba_at`` and ``predict_at`` cannot go beyond them.
    A subclass is loaded as the public class it extends.

    Parameters
    ----------
    directory
        Folder written by ``save``.
    device
        Where to predict; None takes the device it was fitted on.
    backbone
        The pretrained model it was fitted with, as its estimator takes it, where the saved name does not lead there any
        more: a checkpoint that was moved, or a backbone of your own. None takes the saved name.

    Raises
    ------
    StoreError
        When a file is missing, truncated or changed, was written by another version of the format, or belongs to
        another base model.
    """
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

    where = os.fspath(directory)
    with open_adapter(directory) as saved:
        meta = read_meta(saved, where)
        kind = {"TTTClassifier": TTTClassifier, "TTTRegressor": TTTRegressor}[meta.estimator]
        params = {**meta.params, "column_kinds": meta.params.get("column_kinds") or None}
        # Before they are checked: the machine it was fitted on may have a device that this one has not.
        params |= {} if device is None else {"device": device}
        estimator, config = _rebuilt(kind, params, where)
        if backbone is not None:
            estimator.set_params(backbone=backbone)
        base = _base(saved, meta, kind._task, backbone)
        saved.refuse_other_base(base.fingerprint)
        arrays, tensors = saved.arrays(), saved.tensors()
    context = arrays.pop("context_indices", np.empty(0, dtype=np.int64))
    dtype = config.dtype_on(base.limits)
    table = from_stored(StoredTable(meta.table, arrays, tensors), base, config.device, dtype)
    estimator._set_fitted(table, context, params)
    estimator.n_features_in_ = meta.n_features_in
    if meta.feature_names:
        estimator.feature_names_in_ = np.array(meta.feature_names, dtype=object)
    return estimator


def _base(saved: SavedAdapter, meta: EstimatorMeta, task: str, given: Any) -> Backbone:
    """The pretrained model a saved one needs: the one that is given, or the one it names."""
    try:
        if given is not None:
            return load_backbone(given, task)
        return load_saved_backbone(meta.table.backbone, task, saved.base_fingerprint)
    except (InputError, BackboneError, MissingExtra) as error:
        raise StoreError(
            sentence(
                f"{str(saved.directory)!r} cannot be loaded without the model it was fitted with",
                why=str(error).rstrip("."),
                remedy="Pass it as testtime.load(..., backbone=...) if it is elsewhere now",
            )
        ) from error


def read_meta(saved: SavedAdapter, where: str) -> EstimatorMeta:
    """Return what an open adapter says about its estimator; `where` names it in errors.

    Raises
    ------
    StoreError
        When it was written by another version of the format, or says what no estimator can have said.
    """
    if saved.format_version < 2:
        raise StoreError(
            sentence(
                f"{where!r} was saved by testtime {saved.versions.get('testtime', '0.1')}",
                expected="a model of testtime 0.2 or newer",
                why="the models of 0.1 hold one context and one guard, where this version mixes members",
                remedy="Fit it again with this version, or use it with: pip install 'testtime<0.2'",
            )
        )
    return saved.record(EstimatorMeta)


def _rebuilt(kind: Any, params: dict[str, Any], where: str) -> tuple[Any, FitConfig]:
    """An estimator with saved arguments, and these checked."""
    try:
        estimator = kind(**params)
        return estimator, check_settings(estimator.get_params(deep=False))
    except (InputError, TypeError) as error:
        why = f"its arguments cannot be used: {error}"
        raise StoreError(sentence(f"{where!r} cannot be loaded", why=why, remedy="Fit it again")) from error
