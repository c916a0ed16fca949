"""An adapted table as plain values and arrays, and back: what the store writes; no pickle, no base weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.delta import DeltaSpec
from testtime.backbones.base import Backbone, Encoded
from testtime.backbones.many_class import with_classes
from testtime.backbones.scaling import TargetScaler
from testtime.errors import StoreError, sentence
from testtime.results import Adaptation
from testtime.table.adapted import AdaptedTable, Member
from testtime.table.columns import TableColumns
from testtime.table.encoding import TableEncoding
from testtime.table.levels import LevelStatistics
from testtime.table.schema import TableMeta
from testtime.table.target import ClassTarget, NumericTarget, Target

__all__ = ["StoredTable", "from_stored", "to_stored"]

_CHECKED_ROWS = 8


@dataclass(frozen=True)
class StoredTable:
    """What is written: checked plain values, named arrays, and the tensors of the deltas."""

    meta: TableMeta
    arrays: dict[str, NDArray]
    tensors: Mapping[str, Any]


def to_stored(table: AdaptedTable) -> StoredTable:
    """Take apart a table: the reference rows (or the context, where that is longer), deltas, columns, record."""
    n_rows = max(table.n_reference, table.record.n_context)
    described = table.described
    arrays = {
        "x": table.x[:n_rows],
        "y": table.y[:n_rows],
        "check": _check_values(table),
        **{f"levels_{name}": array for name, array in table.encoding.levels.to_arrays().items()},
        **_target_arrays(table.target),
    }
    tensors = {
        f"{m}/{name}": tensor.contiguous().cpu()
        for m, member in enumerate(table.members)
        for name, tensor in (member.state or {}).items()
    }
    meta = TableMeta.model_validate(
        {
            "backbone": table.backbone.name,
            "licence": table.backbone.licence,
            "columns": table.encoding.columns.to_state(),
            "names": list(described.names),
            "kinds": list(described.kinds),
            "n_levels": list(described.n_levels),
            "view_seed": str(table.view_seed),
            "n_reference": table.n_reference,
            "n_views": max(member.view for member in table.members) + 1,
            "members": [
                {"view": member.view, "weight": member.weight, "adapted": member.state is not None}
                for member in table.members
            ],
            "adapt": table.spec.kind,
            "rank": table.spec.rank,
            "record": table.record.to_dict(),
        }
    )
    return StoredTable(meta, arrays, tensors)


def from_stored(
    stored: StoredTable, backbone: Backbone, device: torch.device, dtype: torch.dtype
) -> AdaptedTable:
    """Rebuild a table on its backbone; its views are made again from the stored rows, and compared.

    Raises
    ------
    StoreError
        When the parts do not fit each other, or the views differ from those that were saved.
    """
    meta, arrays = stored.meta, stored.arrays
    x, y = arrays["x"], arrays["y"]
    target = _target_from(arrays)
    backbone = with_classes(backbone, target.task)
    record = Adaptation.from_dict(meta.record.model_dump())
    fits = (
        x.ndim == 2
        and y.shape == (len(x),)
        and x.shape[1] == len(meta.names)
        and max(meta.n_reference, record.n_context, 1) <= len(x)
        and (
            not target.task.n_classes
            or (y.dtype.kind == "i" and 0 <= y.min() <= y.max() < target.task.n_classes)
        )
    )
    if not fits:
        raise _damaged("its rows, columns and record do not fit each other")
    reference = Encoded(x[: meta.n_reference], tuple(meta.names), tuple(meta.kinds), tuple(meta.n_levels))
    n_views = max(meta.n_views, record.n_views)
    seed = np.random.SeedSequence(int(meta.view_seed))
    views = tuple(backbone.views(reference, y[: meta.n_reference], target.task, n_views, seed))
    states: list[dict[str, torch.Tensor]] = [{} for _ in meta.members]
    for key, tensor in stored.tensors.items():
        member, _, name = key.partition("/")
        if not (member.isascii() and member.isdigit()) or int(member) >= len(states):
            raise _damaged(f"the tensor {key!r} belongs to no member")
        states[int(member)][name] = torch.as_tensor(np.array(tensor))
    if any(bool(state) != member.adapted for state, member in zip(states, meta.members, strict=True)):
        raise _damaged("an adapter is missing")
    levels = {
        key.removeprefix("levels_"): array for key, array in arrays.items() if key.startswith("levels_")
    }
    table = AdaptedTable(
        backbone=backbone,
        task=target.task,
        encoding=TableEncoding(TableColumns.from_state(meta.columns), LevelStatistics.from_arrays(levels)),
        target=target,
        x=x,
        y=y,
        views=views,
        view_seed=int(meta.view_seed),
        n_reference=meta.n_reference,
        members=tuple(
            Member(member.view, state or None, member.weight)
            for member, state in zip(meta.members, states, strict=True)
        ),
        spec=DeltaSpec(meta.adapt, meta.rank),
        record=record,
        names=tuple(meta.names),
        kinds=tuple(meta.kinds),
        n_levels=tuple(meta.n_levels),
        device=device,
        dtype=dtype,
    )
    if not np.allclose(_check_values(table), arrays["check"], rtol=1e-5, atol=1e-5, equal_nan=True):
        raise StoreError(
            sentence(
                "the saved model shows its rows to the network in another way than it did when it was saved",
                why="a package it depends on prepares columns differently now",
                remedy="Load it with the versions it was saved with, or fit again",
            )
        )
    return table


def _check_values(table: AdaptedTable) -> NDArray[np.float64]:
    """A few rows as each view shows them, ``(V, r, D)``."""
    like = torch.zeros((), dtype=torch.float64)
    n_views = max(member.view for member in table.members) + 1
    shown = [view.features(table.x[:_CHECKED_ROWS], like).numpy() for view in table.views[:n_views]]
    return np.stack(shown)


def _target_arrays(target: Target) -> dict[str, NDArray]:
    if isinstance(target, ClassTarget):
        return {"classes": target.classes}
    if isinstance(target, NumericTarget):
        return {"target_moments": np.array([target.scaler.mean, target.scaler.scale])}
    raise StoreError(sentence(f"a target of type {type(target).__name__} cannot be saved"))


def _target_from(arrays: Mapping[str, Any]) -> Target:
    if "classes" in arrays:
        return ClassTarget(arrays["classes"])
    if "target_moments" not in arrays or arrays["target_moments"].shape != (2,):
        raise _damaged("it says nothing of its target")
    mean, scale = arrays["target_moments"].tolist()
    return NumericTarget(TargetScaler(mean, scale))


def _damaged(why: str) -> StoreError:
    return StoreError(
        sentence("the saved model is damaged", why=why, remedy="Copy the folder again, or fit it again")
    )
