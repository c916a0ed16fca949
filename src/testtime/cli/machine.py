"""What ``testtime doctor`` looks at: extras, processor, memory, cache, checkpoints, disk, and what to do about each."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

__all__ = ["advice", "checkpoints", "extras", "hardware", "places"]

_FOR_DEVELOPERS = {"all", "dev", "docs", "benchmark"}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+).*;.*extra\s*==\s*['\"]([\w-]+)['\"]")
_LEAST_FREE = 2e9  # bytes: a checkpoint, the reports and a store of adapters fit in


def extras(lines: Iterable[str] | None = None) -> dict[str, dict[str, str | None]]:
    """Return the packages of each extra that users install, with their versions; None where one is missing.

    Parameters
    ----------
    lines
        Requirements as an installed package states them; None takes those of testtime.

    >>> extras(['numpy>=1.26; extra == "all"', 'not-there>=1; extra == "serve"'])
    {'serve': {'not-there': None}}
    """
    found: dict[str, dict[str, str | None]] = {}
    for line in requires("testtime") or () if lines is None else lines:
        match = _REQUIREMENT.match(line)
        if match and match[2] not in _FOR_DEVELOPERS:
            found.setdefault(match[2], {})[match[1]] = _version(match[1])
    return found


def hardware() -> dict[str, Any]:
    """Return cores, torch's threads and vector instructions, the GPU, and memory in GB where the system tells it."""
    import torch

    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "memory_gb": _memory_gb(),
    }


def places() -> dict[str, dict[str, Any]]:
    """Return the folders that are written to: path, whether a file can be written, and free bytes of the disk."""
    from huggingface_hub.constants import HF_HUB_CACHE

    found = {"checkpoints": Path(HF_HUB_CACHE), "temporary": Path(tempfile.gettempdir()), "here": Path.cwd()}
    return {name: {"path": str(path)} | _room(path) for name, path in found.items()}


def checkpoints() -> dict[str, list[str]]:
    """Return the checkpoints of other models that are on this machine; nothing is downloaded."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from testtime.backbones.tabicl import HUB

    snapshots = Path(HF_HUB_CACHE) / f"models--{HUB.replace('/', '--')}" / "snapshots"
    found = {"tabicl": sorted(str(path) for path in snapshots.glob("*/*.ckpt"))}
    if _version("tabpfn"):
        from tabpfn.model_loading import get_cache_dir

        found["tabpfn"] = sorted(str(path) for path in Path(get_cache_dir()).glob("*.ckpt"))
    return found


def advice(found: dict[str, Any]) -> list[str]:
    """Say what to do about what is missing; none of it stops the embedded models.

    Parameters
    ----------
    found
        The answers of this module's functions under their own names.
    """
    lines = []
    for extra, packages in found["extras"].items():
        if missing := [name for name, there in packages.items() if there is None]:
            lines.append(f"{', '.join(missing)} not installed: pip install 'testtime[{extra}]'")
    for name, place in found["places"].items():
        if not place["writable"]:
            other = "set HF_HOME to a folder you own" if name == "checkpoints" else "free it or use another"
            lines.append(f"{place['path']} ({name}) cannot be written: {other}")
        elif place["free_bytes"] < _LEAST_FREE:
            lines.append(f"{place['path']} ({name}) has {place['free_bytes'] / 1e9:.1f} GB left: make room")
    for package, paths in found["checkpoints"].items():
        if not paths:
            lines.append(
                f"no checkpoint of {package}: backbone='{package}' downloads it, '{package}:FILE' takes a file"
            )
    if found["hardware"]["cpu_capability"] == "DEFAULT":
        lines.append("no AVX2: fits take several times longer than the documentation says")
    return lines


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _room(path: Path) -> dict[str, Any]:
    """Whether a file can be written into a folder, or where it would be made, and the free bytes there."""
    while not path.exists():
        path = path.parent
    try:
        with tempfile.TemporaryFile(dir=path):
            writable = True
    except OSError:
        writable = False
    return {"writable": writable, "free_bytes": shutil.disk_usage(path).free}


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
