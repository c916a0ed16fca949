"""A saved table whose manifest is changed by hand, with the right hash on it."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from testtime.store import Form, Record, open_adapter, save_adapter

BASE = "ab" * 32
LABELS = np.array([f"level {i}" for i in range(3)] + [1, 0.5, None, True], dtype=object)


class Column(Record):
    name: Annotated[str, Field(max_length=1000)]
    kind: Literal["number", "nominal"]
    levels: Annotated[list[str | int | float | bool], Field(max_length=10_000)]


class Table(Record):
    """What a caller of the store wants back: every field with a type and bounds."""

    n_context: Annotated[int, Field(ge=1, le=100_000)]
    n_members: Annotated[int, Field(ge=1, le=64)]
    step_size: Annotated[float, Field(gt=0, lt=1e3, allow_inf_nan=False)]
    loss: float
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None
    columns: Annotated[list[Column], Field(min_length=1, max_length=10_000)]


def meta():
    columns = [
        {"name": "age", "kind": "number", "levels": []},
        {"name": "job", "kind": "nominal", "levels": ["a", "b"]},
    ]
    return {
        "n_context": 5,
        "n_members": 2,
        "step_size": 0.1,
        "loss": float("nan"),
        "seed": 3,
        "columns": columns,
    }


def save_table(folder, **changes):
    given = {
        "tensors": {f"{m}/layer.A": np.full((2, 3), m, dtype=np.float32) for m in range(2)},
        "meta": meta(),
        "arrays": {
            "context_x": np.arange(10.0).reshape(5, 2),
            "context_y": np.arange(5) % 2,
            "labels": LABELS,
            "classes": np.array(["no", "yes"]),
            "order": np.array([[0, 1], [1, 0]]),
        },
        "documents": {"curves": {"n": [1, 2], "loss": [0.5, float("nan")]}},
    } | changes
    save_adapter(folder, **given, base_fingerprint=BASE)


def load_table(folder):
    """Read all there is, as a caller would: the record first, then arrays whose forms follow from it."""
    with open_adapter(folder) as saved:
        table = saved.record(Table)
        sizes = {"n": table.n_context, "d": len(table.columns), "m": table.n_members}
        weights = {f"{m}/layer.A": Form("f", (2, 3)) for m in range(table.n_members)}
        forms = {
            "context_x": Form("f", ("n", "d")),
            "context_y": Form("iu", ("n",)),
            "labels": Form("O", ("labels",)),
            "classes": Form("OU", ("classes",)),
            "order": Form("iu", ("m", "d")),
        }
        return table, saved.tensors(weights), saved.arrays(forms, sizes), saved.document("curves")
