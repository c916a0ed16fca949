"""What is wrong with a store: damaged adapters, some that no name stands for, other files in its place."""

from __future__ import annotations

from dataclasses import dataclass

from testtime.errors import StoreError, sentence
from testtime.results import Result
from testtime.store.files import Files
from testtime.store.history import pointed
from testtime.store.stored import ADAPTERS, NAMES, is_hash

__all__ = ["Damage", "hashes_named", "refuse_no_store", "sweep_unnamed", "unnamed"]


@dataclass(frozen=True)
class Damage(Result):
    """A version that cannot be loaded.

    Attributes
    ----------
    name, number
        Whose, and which version.
    reason
        What is wrong with it, as a sentence.
    served
        Whether it is the version that is served; an older one may be removed.
    """

    name: str
    number: int
    reason: str
    served: bool = True


def hashes_named(files: Files) -> set[str]:
    """Return the hashes that some version of some name stands for."""
    entries = (pointed(file) for there in files.tree(NAMES).values() for file in there)
    return {entry[1] for entry in entries if entry}


def unnamed(files: Files) -> tuple[str, ...]:
    """Return the hashes of saved adapters that no name stands for; not those that somebody is just adding."""
    found = _unnamed(files)
    if not found:
        return ()
    try:
        with files.writing():  # what somebody was just adding has its name by then
            return _unnamed(files)
    except StoreError:  # as of a store that may only be read
        return found


def sweep_unnamed(files: Files) -> tuple[str, ...]:
    """Delete the saved adapters that no name stands for, and return their hashes.

    Raises
    ------
    StoreError
        If the store cannot be written.
    """
    if not _unnamed(files):
        return ()
    with files.writing():
        found = _unnamed(files)
        for sha256 in found:
            files.remove(f"{ADAPTERS}/{sha256}")
    return found


def _unnamed(files: Files) -> tuple[str, ...]:
    there = [folder for folder in files.names(ADAPTERS) if is_hash(folder)]
    named = hashes_named(files) if there else set()  # after the folders, whose names may be written just now
    return tuple(folder for folder in there if folder not in named)


def refuse_no_store(files: Files) -> None:
    """Refuse a place of other files: to list it would say that there are no adapters.

    Raises
    ------
    StoreError
        If something is there and nothing of a store, or it cannot be read.
    """
    there = [name for name in files.names("") if not name.startswith(".")]
    if there and not {NAMES, ADAPTERS} & set(there):
        got = f"{files.where!r} holds {there[0]!r} and nothing that a store has"
        expected = f"a store, with the folders {NAMES} and {ADAPTERS}"
        raise StoreError(sentence(got, expected=expected, remedy="Check the name"))
