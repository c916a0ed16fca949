"""What all public functions of this room refuse in the same words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from testtime.errors import InputError, sentence
from testtime.theory.linear.setting import Setting

__all__ = ["answers"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def answers(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function refuse what is no :class:`Setting`, and numbers whose powers are beyond floating point.

    >>> answers(lambda setting: 2.0**setting.dim)(3)
    Traceback (most recent call last):
    ...
    testtime.errors.InputError: setting is int 3; expected a Setting. Pass Setting(40, 128, dim=60), say.
    """
    takes_setting = next(iter(inspect.signature(function).parameters), "") == "setting"

    @wraps(function)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = args[:1] or [kwargs[name] for name in ("setting",) if name in kwargs]
        if takes_setting and given and not isinstance(given[0], Setting):
            got = f"setting is {type(given[0]).__name__} {given[0]!r:.60}"
            remedy = "Pass Setting(40, 128, dim=60), say"
            raise InputError(sentence(got, expected="a Setting", remedy=remedy))
        try:
            return function(*args, **kwargs)
        except OverflowError as error:
            got = f"the numbers for {function.__name__} are too large to calculate with"
            why = "their powers are beyond floating point"
            raise InputError(sentence(got, expected="smaller ones", why=why)) from error

    return checked
