"""An adapted table as plain values and arrays, and back: what the store writes; no pickle, no base weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from testtime.adapt.delta import Delta, DeltaSpec
from testtime.backbones.base import Backbone, Encoded
from testtime.backbones.many_class import with_classes
from testtime.backbones.scaling import TargetScaler
from testtime.errors import InputError, StoreError, sentence
from testtime.results import Adaptation
from testtime.store import damaged
from testtime.table.adapted import AdaptedTable, Member
from testtime.table.columns import TableColumns
from testtime.table.encoding import TableEncoding
from testtime.table.levels import LevelStatistics
from testtime.table.linear import LinearPart
from testtime.table.schema import TableMeta
from testtime.table.stored_arrays import WHERE, check_arrays
from testtime.table.target import ClassTarget, NumericTarget, Target
from testtime.table.target_curve import CURVES, IDENTITY, Curve

__all__ = ["StoredTable", "from_stored", "to_stored"]

_CHECKED_ROWS = 8
_LINEAR = "target_linear_"  # arrays of the linear part


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
    same_as = _first_with_the_same_delta(table.members)
    tensors = {
        f"{m}/{name}": tensor.contiguous().cpu()
        for m, member in enumerate(table.members)
        for name, tensor in (member.state or {}).items()
        if same_as[m] is None
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
                {
                    "view": member.view,
                    "weight": member.weight,
                    "adapted": member.state is not None,
                    "same_as": same_as[m],
                }
                for m, member in enumerate(table.members)
            ],
            "adapt": table.spec.kind,
            "rank": table.spec.rank,
            "record": table.record.to_dict(),
        }
    )
    return StoredTable(meta, arrays, tensors)


def _first_with_the_same_delta(members: Sequence[Member]) -> list[int | None]:
    """For each member, the earlier one whose delta it shares; None where it has its own, or none."""
    seen: dict[int, int] = {}
    found = [
        seen.setdefault(id(one.state), m) if one.state is not None else m for m, one in enumerate(members)
    ]
    return [None if first == m else first for m, first in enumerate(found)]


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
    check_arrays(meta, arrays)
    x, y, target = arrays["x"], arrays["y"], _target_from(arrays)
    record = Adaptation.from_dict(meta.record.model_dump())
    backbone = with_classes(backbone, target.task)
    reference = Encoded(x[: meta.n_reference], tuple(meta.names), tuple(meta.kinds), tuple(meta.n_levels))
    n_views = max(meta.n_views, record.n_views)
    seed = np.random.SeedSequence(int(meta.view_seed))
    table = AdaptedTable(
        backbone=backbone,
        task=target.task,
        encoding=_encoding(meta, arrays),
        target=target,
        x=x,
        y=y,
        views=tuple(backbone.views(reference, y[: meta.n_reference], target.task, n_views, seed)),
        view_seed=int(meta.view_seed),
        n_reference=meta.n_reference,
        members=_members(meta, stored.tensors),
        spec=DeltaSpec(meta.adapt, meta.rank),
        record=record,
        names=tuple(meta.names),
        kinds=tuple(meta.kinds),
        n_levels=tuple(meta.n_levels),
        device=device,
        dtype=dtype,
    )
    _check_deltas(table)
    shown = _check_values(table)
    same_shape = shown.shape == arrays["check"].shape
    if not same_shape or not np.allclose(shown, arrays["check"], rtol=1e-5, atol=1e-5, equal_nan=True):
        raise StoreError(
            sentence(
                "the saved model shows its rows to the network in another way than it did when it was saved",
                why="a package it depends on prepares columns differently now",
                remedy="Load it with the versions it was saved with, or fit again",
            )
        )
    return table


def _encoding(meta: TableMeta, arrays: Mapping[str, NDArray]) -> TableEncoding:
    """Rebuild the encoding, and check that it gives the columns that were encoded."""
    try:
        columns = TableColumns.from_state(meta.columns)
        nothing = pd.DataFrame({name: pd.Series(dtype=object) for name in columns.required})
        given = columns.transform(nothing)
    except InputError as error:
        raise damaged(WHERE, str(error)) from error
    prefix = "levels_"
    own = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
    levels = LevelStatistics.from_arrays(own)
    described = list(zip(meta.names, meta.kinds, meta.n_levels, strict=True))
    expected = list(zip(given.names, given.kinds, given.n_levels, strict=True))
    inside = all(max(column.key) < len(expected) for column in levels.columns)
    if (
        described[: len(expected)] != expected
        or not inside
        or levels.transform(given).shape[1] != len(described)
    ):
        raise damaged(WHERE, "its columns are not those that were encoded")
    return TableEncoding(columns, levels)


def _members(meta: TableMeta, tensors: Mapping[str, Any]) -> tuple[Member, ...]:
    """Rebuild the members with their deltas."""
    states: list[dict[str, torch.Tensor]] = [{} for _ in meta.members]
    for key, tensor in tensors.items():
        member, _, name = key.partition("/")
        if not (member.isascii() and member.isdigit()) or int(member) >= len(states):
            raise damaged(WHERE, f"the tensor {key!r} belongs to no member")
        values = torch.as_tensor(np.array(tensor))
        if not values.is_floating_point() or not torch.isfinite(values).all():
            raise damaged(WHERE, f"the tensor {key!r} holds something else than finite numbers")
        states[int(member)][name] = values
    for m, member in enumerate(meta.members):
        if member.same_as is not None:
            if states[m] or member.same_as >= m:
                raise damaged(WHERE, f"its member {m} has the adapter of a later one, or two adapters")
            states[m] = states[member.same_as]
    if any(bool(state) != member.adapted for state, member in zip(states, meta.members, strict=True)):
        raise damaged(WHERE, "an adapter is missing")
    pairs = zip(meta.members, states, strict=True)
    return tuple(Member(member.view, state or None, member.weight) for member, state in pairs)


def _check_deltas(table: AdaptedTable) -> None:
    """Refuse deltas that do not fit the weights they are to change."""
    states = [member.state for member in table.members if member.state is not None]
    if not states:
        return
    try:
        delta = Delta(table.backbone.learner(table.task, table.device, table.dtype), table.spec)
        for state in states:
            delta.weights(state)
    except InputError as error:
        raise damaged(WHERE, str(error)) from error


def _check_values(table: AdaptedTable) -> NDArray[np.float64]:
    """A few rows as each view shows them, side by side, since views may differ in width: ``(r, D_1 + ... + D_V)``."""
    like = torch.zeros((), dtype=torch.float64)
    n_views = max(member.view for member in table.members) + 1
    shown = [view.features(table.x[:_CHECKED_ROWS], like).numpy() for view in table.views[:n_views]]
    return np.concatenate(shown, axis=1)


def _target_arrays(target: Target) -> dict[str, NDArray]:
    if isinstance(target, ClassTarget):
        return {"classes": target.classes}
    if isinstance(target, NumericTarget):
        arrays = {"target_moments": np.array([target.scaler.mean, target.scaler.scale])}
        if target.curve is not IDENTITY:
            arrays["target_curve"] = np.array([CURVES.index(type(target.curve))])
            arrays["target_curve_numbers"] = target.curve.numbers
        if target.linear is not None:
            own = target.linear.to_arrays()
            arrays |= {f"{_LINEAR}{name}": array for name, array in own.items()}
        return arrays
    raise StoreError(sentence(f"a target of type {type(target).__name__} cannot be saved"))


def _target_from(arrays: Mapping[str, NDArray]) -> Target:
    if "classes" in arrays:
        return ClassTarget(arrays["classes"])
    mean, scale = arrays["target_moments"].tolist()
    return NumericTarget(TargetScaler(mean, scale), _curve_from(arrays), _linear_from(arrays))


def _curve_from(arrays: Mapping[str, NDArray]) -> Curve:
    if "target_curve" not in arrays:
        return IDENTITY
    place = int(arrays["target_curve"][0])
    curve = CURVES[place](arrays["target_curve_numbers"]) if 0 < place < len(CURVES) else None
    if curve is None or not curve.valid:
        raise damaged(WHERE, "the curve of its target is none")
    return curve


def _linear_from(arrays: Mapping[str, NDArray]) -> LinearPart | None:
    own = {key.removeprefix(_LINEAR): array for key, array in arrays.items() if key.startswith(_LINEAR)}
    if not own:
        return None
    part = LinearPart.from_arrays(own, arrays["x"].shape[1])
    if part is None:
        raise damaged(WHERE, "the linear part of its target is none")
    return part
