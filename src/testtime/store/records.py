"""Records that were read from disk: every field has a type and bounds, and what breaks one is said in a sentence."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from testtime.errors import StoreError, sentence

__all__ = ["Record", "checked", "damaged"]

_SHOWN = 60  # characters of an offending value


class Record(BaseModel):
    """Base of what is read back: strict types (True is no number, 3.0 no integer), no unknown fields, frozen.

    JSON knows no tuples: a field that is one says ``Annotated[tuple[int, ...], Field(strict=False)]``.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


R = TypeVar("R", bound=BaseModel)


def checked(model: type[R], content: Any, where: str) -> R:
    """Build `model` from `content`.

    Parameters
    ----------
    model
        A pydantic model, best a :class:`Record`.
    content
        What was read.
    where
        What to call it in a message.

    Raises
    ------
    StoreError
        If a field is missing, unknown, of the wrong type or out of bounds; the first one is named.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(step)[:_SHOWN] for step in first["loc"])
        shown = "" if first["type"] == "missing" else f" with {_short(first['input'])}"
        place = f"the field {field!r}{shown}: " if field else ""
        raise damaged(where, place + first["msg"].removeprefix("Value error, ")) from error
    except RecursionError as error:
        raise damaged(where, "it is nested too deeply") from error


def damaged(where: str, why: str) -> StoreError:
    """Return the error for something on disk that is not what was written."""
    return StoreError(
        sentence(f"{where} is damaged", why=why, remedy="Copy the adapter again, or fit it again")
    )


def _short(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"a {type(value).__name__} of {len(value):,}"
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
