"""Names of temporary files, and the removal of those whose writer is dead.

A killed writer cannot clean up. What it had staged stays under a hidden name that says which process of which
machine wrote it; the next save into the same folder removes it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["ABANDONED_AFTER", "beside", "is_leftover", "sweep"]

ABANDONED_AFTER = 24 * 3600.0
"""Seconds without a write after which a temporary file of another machine belongs to nobody."""

_STAGED = re.compile(r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]+)-[0-9a-f]{12}\.tmp", re.DOTALL)
_LONGEST = 40  # characters of the target's name; a name may have 255 bytes, and four may be one character


def beside(target: Path) -> Path:
    """Return a name for a temporary file or folder on the same file system as `target`; it names its writer."""
    name = target.name[:_LONGEST]
    return target.with_name(f".{name}.{_machine()}-{os.getpid()}-{secrets.token_hex(6)}.tmp")


def is_leftover(name: str) -> bool:
    """Say whether :func:`beside` could have made this file name.

    >>> is_leftover(".manifest.json.0123abcd-17-0123456789ab.tmp"), is_leftover("notes.tmp")
    (True, False)
    """
    return _STAGED.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove what killed writers left in `folder`; a save has succeeded, so failing at this is no error."""
    with suppress(OSError), os.scandir(folder) as entries:
        staged = [(entry, name) for entry in entries if (name := _STAGED.fullmatch(entry.name))]
        for entry, name in staged:
            with suppress(OSError):  # another save may have removed it meanwhile
                if not _abandoned(entry, name["machine"], int(name["process"])):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


@cache
def _machine() -> str:
    """Return eight hex digits for the space in which a process number means one process: host, boot, container."""
    known = [platform.node()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        known.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


def _abandoned(entry: os.DirEntry[str], machine: str, process: int) -> bool:
    """Whether the writer is known to be dead, or is out of sight and has written nothing for a day."""
    if machine == _machine() and os.name == "posix":
        return not _alive(process)
    last_write = entry.stat(follow_symlinks=False).st_mtime
    return time.time() - last_write > ABANDONED_AFTER


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only; no signal is sent
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it belongs to somebody else, or the number is none
        return True
    return True
