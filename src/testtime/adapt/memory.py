"""How much memory a nest of tensors holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

__all__ = ["tensor_bytes"]


def tensor_bytes(value: Any) -> int:
    """Return the bytes of all tensors in mappings, sequences and dataclasses; memory that is shared counts once.

    >>> import torch
    >>> whole = torch.zeros(10, dtype=torch.float64)
    >>> tensor_bytes({"a": whole, "b": (whole[:5], 3)})
    80
    """
    return sum(_storages(value).values())


def _storages(value: Any) -> dict[int, int]:
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        return {storage.data_ptr(): storage.nbytes()}
    parts: list[Any] = []
    if isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif is_dataclass(value):
        parts = [getattr(value, field.name) for field in fields(value)]
    found: dict[int, int] = {}
    for part in parts:
        found |= _storages(part)
    return found
