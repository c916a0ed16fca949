"""Checkpoint files of other packages: where they are, what they hash to, and what is said when they cannot be used."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from torch import nn

from testtime.backbones.base import Backbone
from testtime.errors import BackboneError, MissingExtra, sentence

__all__ = [
    "all_finite",
    "check_package",
    "existing_file",
    "file_sha256",
    "identity",
    "same_weights",
    "told",
]

_Loaded = TypeVar("_Loaded", bound=Backbone)


def told(error: BaseException) -> str:
    """Return what an error of another package says, in one line; its kind where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def all_finite(module: nn.Module) -> bool:
    """Whether every weight is a number: what was computed with others would be served without a word."""
    return all(bool(parameter.isfinite().all()) for parameter in module.parameters())


def check_package(package: str, least: tuple[int, int], below: int, extra: str = "") -> None:
    """Raise unless a package is installed in a version whose private modules are known here.

    Parameters
    ----------
    package
        Name of the distribution.
    least, below
        Lowest version, ``(major, minor)``, and the first major version that is not known.
    extra
        Extra of this package that installs it.

    Raises
    ------
    MissingExtra
        When it is not installed.
    BackboneError
        When its version is another one.
    """
    wanted = f"{package}>={least[0]}.{least[1]},<{below}"
    try:
        found = version(package)
    except PackageNotFoundError as error:
        install = f"testtime[{extra}]" if extra else wanted
        raise MissingExtra(
            sentence(f"{package} is not installed", remedy=f"pip install '{install}'")
        ) from error
    numbers = [int(part) if part.isdigit() else 0 for part in found.split(".")[:2]]
    if not least <= (numbers[0], numbers[-1]) < (below, 0):
        raise BackboneError(
            sentence(
                f"{package} {found} is installed",
                expected=f"{least[0]}.{least[1]} or newer, below {below}",
                why="other versions lay out their modules differently",
                remedy=f"pip install '{wanted}'",
            )
        )


def same_weights(loaded: _Loaded, pickled: str) -> _Loaded:
    """Return what a pickled name led to, if its weights are still those: changes of a model are of them alone.

    Parameters
    ----------
    loaded
        From the name.
    pickled
        sha256 of the weights then; empty in a pickle of an older version, which did not say.

    Raises
    ------
    BackboneError
        For other weights.
    """
    if pickled and loaded.fingerprint != pickled:
        raise BackboneError(
            sentence(
                f"the weights of backbone={loaded.name!r} are no longer those that were pickled",
                expected=f"the sha256 {pickled[:12]}..., not {loaded.fingerprint[:12]}...",
                why="a model that was adapted from them would answer wrongly with others",
                remedy="Bring the file back, or fit again; testtime.load takes a saved model's weights from elsewhere",
            )
        )
    return loaded


def existing_file(path: str | Path, package: str) -> Path:
    """Return the path of a checkpoint the user points to, absolute.

    Raises
    ------
    BackboneError
        When there is no such file.
    """
    found = Path(path)
    try:
        found = found.expanduser().absolute()
        there = found.is_file()
    except (OSError, RuntimeError, ValueError):  # a name that is too long, the home of nobody
        there = False
    if not there:
        raise BackboneError(
            sentence(
                f"there is no checkpoint {str(found)!r}",
                expected=f"a file with weights of {package}",
                remedy="Check the path, or leave it out to take the package's own weights",
            )
        )
    return found


def identity(path: Path) -> tuple[str, int, int]:
    """Path, time and size: what a file is cached by, so that one that was replaced is read again."""
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, computed once for each state of the file."""
    return _sha256(identity(path))


@lru_cache(maxsize=64)
def _sha256(file: tuple[str, int, int]) -> str:
    with open(file[0], "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
