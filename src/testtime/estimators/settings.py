"""Constructor arguments, checked once at ``fit`` and turned into what the fit takes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from testtime.adapt.delta import KINDS
from testtime.errors import InputError, nearest, sentence
from testtime.table.config import MEMBERS, MEMBERS_OF_ONE_STEP, OBJECTIVES, FitConfig

__all__ = ["AUTO", "check_settings", "device_of", "written"]

AUTO = "auto"
PLANNED = "planned"
_PRECISIONS = {"auto": None, "float32": torch.float32, "float64": torch.float64}


_LARGEST_STEP, _LARGEST_RANK = 1e30, 100_000


def _integer(name: str, value: Any, least: int, *, most: float = math.inf, auto: bool = False) -> int | None:
    if auto and isinstance(value, str) and value == AUTO:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= int(value) <= most:
        choices = (
            f"an integer of at least {least}" if most == math.inf else f"an integer from {least} to {most:,}"
        )
        choices += ", or 'auto'" if auto else ""
        raise InputError(sentence(f"{name}={value!r}", expected=choices))
    return int(value)


def _positive(name: str, value: Any, none: Any, most: float = math.inf) -> float | None:
    if value is none or (isinstance(value, str) and value == none):
        return None
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 < float(value) < float("inf"):
        raise InputError(sentence(f"{name}={value!r}", expected=f"a positive finite number, or {none!r}"))
    if float(value) > most:
        raise InputError(
            sentence(f"{name}={value!r}", expected=f"a positive number up to {most:g}, or {none!r}")
        )
    return float(value)


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        expected = "one of " + ", ".join(map(repr, choices))
        raise InputError(
            sentence(f"{name}={value!r}", expected=expected, remedy=nearest(str(value), choices))
        )
    return value


def device_of(name: Any) -> torch.device:
    """Return a device by its name, or the best that is there for "auto".

    Raises
    ------
    InputError
        For another name, or a device that this machine has not.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    expected = "'cpu', 'cuda', 'cuda:0', ... or 'auto'"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InputError(sentence(f"device={name!r}", expected=expected)) from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(sentence(f"device={name!r}", expected=expected))
    if device.type == "cuda" and not torch.cuda.is_available():
        got = f"device={name!r}, but PyTorch finds no CUDA device"
        raise InputError(sentence(got, remedy="Use device='cpu' or device='auto'"))
    return device


def _check_random_state(seed: Any) -> None:
    generators = (np.random.RandomState, np.random.Generator)
    integer = isinstance(seed, numbers.Integral) and not isinstance(seed, bool) and int(seed) >= 0
    if seed is not None and not integer and not isinstance(seed, generators):
        expected = "a non-negative integer, None, a RandomState or a Generator"
        raise InputError(sentence(f"random_state={seed!r}", expected=expected))


def check_settings(params: Mapping[str, Any]) -> FitConfig:
    """Check the constructor arguments `params` of an estimator.

    Raises
    ------
    InputError
        Naming the first argument that cannot be used, what was expected and what to do.
    """
    objective = _one_of("objective", params["objective"], OBJECTIVES)
    adapt = _one_of("adapt", params["adapt"], (AUTO, PLANNED, *KINDS))
    guard = params["guard"]
    if not isinstance(guard, (bool, np.bool_)):
        raise InputError(sentence(f"guard={guard!r}", expected="True or False"))
    precision = _one_of("precision", params["precision"], tuple(_PRECISIONS))
    kinds = params["column_kinds"]
    if kinds is not None and not isinstance(kinds, Mapping):
        raise InputError(
            sentence(f"column_kinds={kinds!r}", expected="a mapping of column names to kinds, or None")
        )
    device = device_of(params["device"])
    _check_random_state(params["random_state"])
    verbose = params["verbose"]
    _integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0)
    n_steps = _integer("n_steps", params["n_steps"], 0, auto=True)
    n_members = _integer("n_members", params["n_members"], 1, auto=True)
    return FitConfig(
        objective=objective,
        n_context=_integer("n_context", params["n_context"], 1, auto=True),
        n_steps=n_steps,
        step_size=_positive("step_size", params["step_size"], AUTO, _LARGEST_STEP),
        adapt=None if adapt in (AUTO, PLANNED) else adapt,
        planned=adapt == PLANNED,
        rank=_integer("rank", params["rank"], 1, most=_LARGEST_RANK) or 1,
        guard=bool(guard),
        n_members=n_members or (MEMBERS_OF_ONE_STEP if n_steps == 1 else MEMBERS),
        device=device,
        predict_dtype=_PRECISIONS[precision],
        time_limit=_positive("time_limit", params["time_limit"], None),
    )


def written(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked constructor arguments as they are saved, but for the backbone: plain values of their own."""
    seed, kinds = params["random_state"], params["column_kinds"] or {}
    found = {
        **params,
        "backbone": None,  # what is written is the name of the model that was loaded
        "column_kinds": {str(name): kind for name, kind in kinds.items()},
        "device": str(params["device"]),
        "guard": bool(params["guard"]),
        # A generator has no value that could be written down.
        "random_state": int(seed) if isinstance(seed, numbers.Integral) else None,
    }
    for name in ("step_size", "time_limit"):
        value = found[name]
        if isinstance(value, numbers.Real) and not isinstance(value, int):
            found[name] = float(value)
    return found
