"""The two files of a stored GPT, ``model.safetensors`` and ``config.json``, and how they are replaced as one.

``config.json`` holds the sha256 of the weights, and its replacement is the step that counts. New weights lie beside the
old ones before it, under a name with a piece of their hash, and take their place after it; who reads looks under both
names. Whoever is stopped in between leaves the old model or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from testtime.errors import StoreError, sentence

__all__ = ["CONFIG", "WEIGHTS", "read_model", "write_model"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"

_SHA = re.compile(r"[0-9a-f]{64}")
_WAITING = re.compile(r"model-[0-9a-f]{12}\.safetensors(\.part)?")
_TRIES = 3  # reads, while somebody else saves


def write_model(folder: Path, settings: dict[str, Any], payload: bytes) -> None:
    """Put a model into a folder, in the place of the one that is there.

    Raises
    ------
    StoreError
        When the folder cannot be written; the older model can still be loaded.
    """
    digest = hashlib.sha256(payload).hexdigest()
    described = json.dumps(settings | {"sha256": digest}, indent=2) + "\n"
    waiting, counts = folder / _waiting(digest), False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _replace(waiting, payload)
            _replace(folder / CONFIG, described.encode())
            counts = True
        finally:
            if not counts and not _names(folder / CONFIG, digest):
                waiting.unlink(missing_ok=True)
        os.replace(waiting, folder / WEIGHTS)
        for path in folder.iterdir():  # of runs that were killed
            if _WAITING.fullmatch(path.name):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            sentence(
                f"{folder} could not be written: {error.strerror or error}", remedy="Choose another folder"
            )
        ) from error


def read_model(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Return the settings of a stored model and its bytes, which have the hash that the settings held.

    Raises
    ------
    StoreError
        When a file is missing, is no JSON object, or has another hash.
    """
    read = b""
    for _ in range(_TRIES):
        before = read
        try:
            read = (folder / CONFIG).read_bytes()
            described = json.loads(read)
            digest = described.pop("sha256", "") if isinstance(described, dict) else ""
            payload = _weights(folder, digest)
        except (OSError, ValueError, RecursionError) as error:
            got = f"no model can be read from {folder} ({error})"
            raise StoreError(sentence(got, expected=f"{CONFIG} and {WEIGHTS}")) from error
        if hashlib.sha256(payload).hexdigest() == digest:
            return described, payload
        if read == before:
            break  # nobody saves meanwhile
    raise StoreError(
        sentence(
            f"{folder / WEIGHTS} does not have the sha256 that {CONFIG} holds",
            why="one of the two files was changed or damaged",
            remedy="Copy both again, or run the pretraining command again",
        )
    )


def _weights(folder: Path, digest: Any) -> bytes:
    """Return the waiting weights of this hash, and else those in their place, which may have another."""
    if isinstance(digest, str) and _SHA.fullmatch(digest):
        try:
            waiting = (folder / _waiting(digest)).read_bytes()
            if hashlib.sha256(waiting).hexdigest() == digest:
                return waiting
        except OSError:
            pass  # the rule: nothing waits
    return (folder / WEIGHTS).read_bytes()


def _waiting(digest: str) -> str:
    return f"model-{digest[:12]}.safetensors"


def _names(config: Path, digest: str) -> bool:
    """Whether a stored config is that of these weights."""
    try:
        return digest in config.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader, and who comes after a power failure, sees the old one or the whole new one."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
