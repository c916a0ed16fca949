"""Python values and label arrays as strict JSON, and back without loss.

JSON knows no NaN and one kind of number, so floats that are not finite and entries of object arrays are tagged.
What is printed for people and scripts has its own, one-way form: :mod:`testtime.plain`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from testtime.errors import StoreError, sentence
from testtime.store.records import Record

__all__ = ["EncodedArray", "check_encoded", "decode_array", "decode_value", "encode_array", "encode_value"]

_FLOAT = "$float"
_NON_FINITE = ("nan", "inf", "-inf")
_DEEPEST = 50
_MAX_BITS = 1024  # of an integer; Python refuses to read numbers of thousands of digits
_MAX_TEXT_BYTES = 2**30  # of a NumPy text array, whose entries all take the room of the longest one


def encode_value(value: Any) -> Any:
    """Turn nested dicts, lists, tuples, text, numbers and None into what strict JSON holds.

    Raises
    ------
    StoreError
        If a value is of another type, an integer has more than 1,024 bits, something is nested more than 50 deep, or a
        dict has keys that are not text.

    >>> encode_value({"loss": float("inf"), "steps": (1, 2)})
    {'loss': {'$float': 'inf'}, 'steps': [1, 2]}
    """
    return _encoded(value, 0)


def _encoded(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise _unstorable("a value in lists in lists", f"at most {_DEEPEST} levels")
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise _unstorable(f"an integer of {value.bit_length():,} bits", f"at most {_MAX_BITS:,}")
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: repr(float(value))}
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise _unstorable(f"the key {key!r}", "a text")
        return {_escaped(key): _encoded(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(item, depth + 1) for item in value]
    if isinstance(value, np.generic):
        return _encoded(value.item(), depth)
    raise _unstorable(
        f"{value!r} of type {type(value).__name__}", "text, a number, None, or a list or dict of these"
    )


def _escaped(key: str) -> str:
    """Double the sign that tags begin with, as in the name of a column of prices."""
    return f"${key}" if key.startswith("$") else key


def check_encoded(value: Any, depth: int = 0) -> None:
    """Raise a ValueError for JSON that :func:`encode_value` does not give."""
    if depth > _DEEPEST + 1:  # the tag of a float is one more level
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    if isinstance(value, dict):
        if any(key.startswith("$") and not key.startswith("$$") for key in value) and (
            set(value) != {_FLOAT} or value[_FLOAT] not in _NON_FINITE
        ):
            raise ValueError("a key begins with '$' and is not the tag of a number")
        for item in value.values():
            check_encoded(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_encoded(item, depth + 1)
    elif isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ValueError(f"an integer has {value.bit_length():,} bits")


def decode_value(value: Any) -> Any:
    """Undo :func:`encode_value`; tuples come back as lists.

    >>> decode_value({"loss": {"$float": "inf"}})
    {'loss': inf}
    """
    if isinstance(value, dict):
        if set(value) == {_FLOAT}:
            return float(value[_FLOAT])
        return {key.removeprefix("$"): decode_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode_value(item) for item in value]
    return value


class EncodedArray(Record):
    """An array of text or of mixed Python values, as JSON.

    Attributes
    ----------
    dtype
        ``"str"`` comes back as a NumPy text array.
    shape
        Lengths of the axes.
    items
        Pairs of a tag and a text, in C order; floats are written in base 16 and stay exact.
    """

    dtype: Literal["object", "str"]
    shape: Annotated[list[Annotated[int, Field(ge=0, le=2**31)]], Field(max_length=8)]
    items: list[Any]

    @model_validator(mode="after")
    def _check_items(self) -> EncodedArray:
        if math.prod(self.shape) != len(self.items):
            raise ValueError(
                f"an array of labels is malformed: {len(self.items):,} items of shape {self.shape}"
            )
        for item in self.items:
            if not _is_tagged(item) or (self.dtype == "str" and item[0] != "str"):
                raise ValueError("an array of labels is malformed: an item is not what its tag says")
        if (
            self.dtype == "str"
            and 4 * len(self.items) * max(map(_text_length, self.items), default=0) > _MAX_TEXT_BYTES
        ):
            raise ValueError(f"an array of labels would take more than {_MAX_TEXT_BYTES:,} bytes")
        return self


def encode_array(array: np.ndarray) -> EncodedArray:
    """Turn an array of text or of mixed Python values into tagged entries.

    Parameters
    ----------
    array
        Up to 8 axes; NumPy text, or objects that are int, float, bool, str or None, NumPy scalars included.

    Raises
    ------
    StoreError
        If an entry is of another type, or the array is too large.

    >>> encode_array(np.array(["a", 2, 0.5, None], dtype=object)).items
    [['str', 'a'], ['int', '2'], ['float', '0x1.0000000000000p-1'], ['none', '']]
    """
    items = [_tagged(item) for item in array.ravel().tolist()]
    try:
        return EncodedArray(
            dtype="object" if array.dtype == object else "str", shape=list(array.shape), items=items
        )
    except ValueError as error:
        raise _unstorable(f"an array of labels of shape {array.shape}", "a smaller one") from error


def decode_array(content: EncodedArray) -> np.ndarray:
    """Undo :func:`encode_array`.

    >>> decode_array(EncodedArray(dtype="object", shape=[2], items=[["int", "3"], ["bool", "True"]])).tolist()
    [3, True]
    """
    items = [_READ[tag](text) for tag, text in content.items]
    array = np.empty(len(items), dtype=object)
    array[:] = items
    array = array.reshape(content.shape)
    return array if content.dtype == "object" else array.astype(str)


def _tagged(item: Any) -> list[str]:
    if isinstance(item, np.generic):
        item = item.item()
    if item is None:
        return ["none", ""]
    if isinstance(item, bool):  # before int: True is an int
        return ["bool", str(item)]
    if isinstance(item, int):
        if item.bit_length() > _MAX_BITS:
            raise _unstorable(f"a label of {item.bit_length():,} bits", f"at most {_MAX_BITS:,}")
        return ["int", str(item)]
    if isinstance(item, float):
        return ["float", item.hex()]
    if isinstance(item, str):
        return ["str", str(item)]
    raise _unstorable(
        f"the label {item!r} of type {type(item).__name__}", "text, a number, a boolean or None"
    )


def _is_tagged(item: Any) -> bool:
    """Whether writing what is read gives the same item again."""
    if not isinstance(item, list) or len(item) != 2 or not all(isinstance(part, str) for part in item):
        return False
    try:
        return item[0] == "str" or _tagged(_READ[item[0]](item[1])) == item
    except (KeyError, ValueError, OverflowError, StoreError):
        return False


def _text_length(item: list[str]) -> int:
    return len(item[1])


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
