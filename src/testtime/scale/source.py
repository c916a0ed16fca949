"""The code a result was computed with, as a hash: results computed with other code are not found again."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["package_hash", "source_hash"]

_AFTERWARDS = ("cli", "report", "serve")  # rooms that only show results


def source_hash(function: Callable[..., Any], without: tuple[str, ...] = ()) -> str:
    """Return 64 hex digits that change when the code a function may run changes.

    That is the module of the function and the whole package, but for the rooms that only show results: what a module
    does may depend on any other, also through imports inside functions. Comments and layout do not count.

    Parameters
    ----------
    function
        The function whose results are kept.
    without
        Names of functions that do not count wherever they are defined at the top of a module, because they only
        look at results.
    """
    parts = [package_hash(Path(__file__).parents[1], without)]
    module = inspect.getmodule(function)
    if module is not None and not module.__name__.startswith("testtime."):
        parts.append(_tree_hash(inspect.getsource(module), without))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def package_hash(root: Path, without: tuple[str, ...]) -> str:
    """Return one hash of all modules below `root`; read once per process, since code that runs does not change."""
    parts = [
        f"{path.relative_to(root).as_posix()} {_tree_hash(path.read_text(encoding='utf-8'), without)}"
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root).parts[0] not in _AFTERWARDS
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _tree_hash(source: str, without: tuple[str, ...]) -> str:
    tree = ast.parse(source)
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name in without)
    ]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
