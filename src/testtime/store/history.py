"""What a name of a store stood for over time: one small file for each change, none of which is ever rewritten.

The file's own name holds the number and the adapter's hash, so that what is current is known from a listing. Two
writers can therefore never lose each other's entry: where a lock keeps them apart they take different numbers, and
where there is none both entries stand, and the one that sorts last is current.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import quote, unquote

from pydantic import Field

from testtime.errors import InputError, StoreError, sentence
from testtime.results import Result
from testtime.store.manifest import Hash
from testtime.store.records import Record

__all__ = [
    "Entry",
    "Version",
    "as_folder_name",
    "as_its_name_says",
    "as_name",
    "check_job",
    "entry_name",
    "pointed",
    "removable",
    "restored_by",
    "step_back",
]

_ENTRY = re.compile(r"(?P<number>[0-9]{8})-(?P<sha256>[0-9a-f]{64})\.json")
_LONGEST = 200  # bytes of a folder's name; file systems allow 255


@dataclass(frozen=True)
class Version(Result):
    """One version of one adapter of a store.

    Attributes
    ----------
    name
        Name of the adapter.
    number
        1 for the first; every change of what is served, a roll back too, counts one up.
    sha256
        Hash of the saved adapter.
    n_bytes
        Bytes of its files.
    added
        Moment of the change, UTC; empty if the entry is damaged, of which only name, number and hash are known.
    restores
        For a roll back, the number of the version that is served again; else None.
    job
        What the adapter was made from, as its maker told the store; empty if it did not.
    """

    name: str
    number: int
    sha256: str
    n_bytes: int
    added: str
    restores: int | None = None
    job: str = ""


_MOST_OF_A_JOB = 200


class Entry(Record):
    """A version on disk; its number and its adapter's name are in the names of the file and of its folder."""

    format: Literal["testtime version"] = "testtime version"
    sha256: Hash
    n_bytes: Annotated[int, Field(ge=0)]
    added: Annotated[str, Field(max_length=40)]
    restores: Annotated[int, Field(ge=1)] | None = None
    job: Annotated[str, Field(max_length=_MOST_OF_A_JOB)] = ""

    @classmethod
    def now(cls, sha256: str, n_bytes: int, *, restores: int | None = None, job: str = "") -> Entry:
        """Return an entry of this moment."""
        added = datetime.now(UTC).isoformat(timespec="milliseconds")
        return cls(sha256=sha256, n_bytes=n_bytes, added=added, restores=restores, job=job)

    def as_version(self, name: str, number: int) -> Version:
        """Return what users see of it."""
        return Version(name, number, self.sha256, self.n_bytes, self.added, self.restores, self.job)


def entry_name(number: int, sha256: str) -> str:
    """Return the file name of an entry."""
    return f"{number:08d}-{sha256}.json"


def pointed(file_name: str) -> tuple[int, str] | None:
    """Return the number and the hash that a file name holds, or None for a file that is no entry.

    >>> pointed("00000002-" + "ab" * 32 + ".json")[0], pointed("notes.txt")
    (2, None)
    """
    found = _ENTRY.fullmatch(file_name)
    return (int(found["number"]), found["sha256"]) if found else None


def as_folder_name(name: str) -> str:
    """Return a folder name for an adapter's name, which may hold any character.

    Raises
    ------
    InputError
        If it is empty, no text or too long.

    >>> as_folder_name("north/7"), as_folder_name("..")
    ('north%2F7', '%2E.')
    """
    text = name if isinstance(name, str) else ""
    try:
        folder = quote(text, safe=" =,+@")
    except UnicodeEncodeError:
        folder = ""
    if folder.startswith("."):
        folder = "%2E" + folder[1:]
    if not 0 < len(folder) <= _LONGEST:
        shown = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:60]}..."
        expected = f"a text of 1 to {_LONGEST} characters (letters beyond ASCII count several)"
        raise InputError(sentence(f"adapter name {shown}", expected=expected))
    return folder


def as_name(folder: str) -> str:
    """Return the adapter's name that :func:`as_folder_name` was given.

    >>> as_name(as_folder_name("Zürich, 50%"))
    'Zürich, 50%'
    """
    return unquote(folder)


def as_its_name_says(name: str, file: str) -> Version:
    """Return what the file name of an entry says, for one that cannot be read."""
    number, sha256 = pointed(file) or (0, "")
    return Version(name, number, sha256, 0, "")


def check_job(job: str) -> None:
    """Refuse what a history could not be written with.

    Raises
    ------
    InputError
        If what an adapter was made from is no text, or too long.
    """
    if not isinstance(job, str) or len(job) > _MOST_OF_A_JOB:
        raise InputError(
            sentence(f"job={str(job)[:40]!r}", expected=f"a text of at most {_MOST_OF_A_JOB} characters")
        )


def restored_by(versions: Sequence[Version], to: int | None) -> Version:
    """Return the version that a roll back serves again.

    Parameters
    ----------
    versions
        All of one name, oldest first.
    to
        Number of the version to go back to; None for the one before.

    Raises
    ------
    StoreError
        If there is no such version.
    """
    name, there = versions[-1].name, {version.number: version for version in versions}
    if to is None:
        to = step_back(versions)
        if to is None:
            got = f"there is no version of {name!r} before the one that is served"
            raise StoreError(sentence(got, remedy="Name one with its number"))
    if to not in there:
        raise _no_version(name, to, list(there))
    return there[to]


def removable(name: str, entries: Mapping[str, tuple[int, str]], number: int) -> list[str]:
    """Return the file names of an older version, of which two writers without a lock may have made two.

    Parameters
    ----------
    name
        Whose version.
    entries
        File names with their number and hash, see :func:`pointed`.
    number
        Which version.

    Raises
    ------
    StoreError
        If there is no such version, or it is the one that is served.
    """
    found = [file for file, entry in entries.items() if entry[0] == number]
    if not found:
        raise _no_version(name, number, sorted(entry[0] for entry in entries.values()))
    if max(entries.values())[0] == number:
        raise StoreError(
            sentence(
                f"version {number} of {name!r} is the one that is served",
                expected="an older one",
                remedy="Serve another version first: roll back, or add one; or remove the adapter as a whole",
            )
        )
    return found


def _no_version(name: str, number: int, there: Sequence[int]) -> StoreError:
    numbers = ", ".join(map(str, there[-8:]))
    return StoreError(sentence(f"{name!r} has no version {number}", expected=f"one of {numbers}"))


def step_back(versions: Sequence[Version]) -> int | None:
    """Return the version before the one that is served, or None; going back twice goes back two versions.

    >>> first, second = (Version("a", number, 64 * str(number), 9, "") for number in (1, 2))
    >>> step_back([first, second]), step_back([first, second, Version("a", 3, first.sha256, 9, "", restores=1)])
    (1, None)
    """
    served = versions[-1].restores or versions[-1].number
    earlier = [version.number for version in versions if version.number < served and not version.restores]
    return max(earlier, default=None)
