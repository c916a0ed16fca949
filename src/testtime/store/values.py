"""Python values and label arrays as strict JSON, and back without loss.

JSON knows no NaN and one kind of number, so floats that are not finite and entries of object arrays are
tagged.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from testtime.errors import StoreError, sentence

__all__ = ["decode_array", "decode_value", "encode_array", "encode_value"]

_FLOAT = "$float"


def encode_value(value: Any) -> Any:
    """Turn nested dicts, lists, tuples, text, numbers and None into what strict JSON holds.

    Raises
    ------
    StoreError
        If a value is of another type, or a dict has keys that are not text or begin with ``$``.

    >>> encode_value({"loss": float("inf"), "steps": (1, 2)})
    {'loss': {'$float': 'inf'}, 'steps': [1, 2]}
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: repr(float(value))}
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise _unstorable(f"the key {key!r}", "a text that does not begin with '$'")
        return {key: encode_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode_value(item) for item in value]
    if isinstance(value, np.generic):
        return encode_value(value.item())
    raise _unstorable(
        f"{value!r} of type {type(value).__name__}", "text, a number, None, or a list or dict of these"
    )


def decode_value(value: Any) -> Any:
    """Undo :func:`encode_value`; tuples come back as lists.

    >>> decode_value({"loss": {"$float": "inf"}})
    {'loss': inf}
    """
    if isinstance(value, dict):
        if set(value) == {_FLOAT}:
            return float(value[_FLOAT])
        return {key: decode_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode_value(item) for item in value]
    return value


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """Turn an array of text or of mixed Python values into tagged entries; floats stay exact.

    Parameters
    ----------
    array
        Any shape; NumPy text, or objects that are int, float, bool, str or None, NumPy scalars included.

    Raises
    ------
    StoreError
        If an entry is of another type.

    >>> encode_array(np.array(["a", 2, 0.5, None], dtype=object))["items"]
    [['str', 'a'], ['int', '2'], ['float', '0x1.0000000000000p-1'], ['none', '']]
    """
    kind = "object" if array.dtype == object else "str"
    return {
        "dtype": kind,
        "shape": list(array.shape),
        "items": [_tagged(item) for item in array.ravel().tolist()],
    }


def decode_array(content: dict[str, Any]) -> np.ndarray:
    """Undo :func:`encode_array`.

    >>> decode_array({"dtype": "object", "shape": [2], "items": [["int", "3"], ["bool", "True"]]}).tolist()
    [3, True]
    """
    items = [_READ[tag](text) for tag, text in content["items"]]
    array = np.empty(len(items), dtype=object)
    array[:] = items
    array = array.reshape(content["shape"])
    return array if content["dtype"] == "object" else array.astype(str)


def _tagged(item: Any) -> list[str]:
    if isinstance(item, np.generic):
        item = item.item()
    if item is None:
        return ["none", ""]
    if isinstance(item, bool):  # before int: True is an int
        return ["bool", str(item)]
    if isinstance(item, int):
        return ["int", str(item)]
    if isinstance(item, float):
        return ["float", item.hex()]
    if isinstance(item, str):
        return ["str", str(item)]
    raise _unstorable(
        f"the label {item!r} of type {type(item).__name__}", "text, a number, a boolean or None"
    )


_READ = {
    "none": lambda text: None,
    "bool": lambda text: text == "True",
    "int": int,
    "float": float.fromhex,
    "str": str,
}


def _unstorable(got: str, expected: str) -> StoreError:
    return StoreError(
        sentence(f"{got} cannot be saved", expected=expected, remedy="Convert it to text before fit")
    )
