"""A Sphinx extension: the page ``papers.md``, which leads from a statement of a paper to function, figure and test.

It is written from the code whenever the documentation is built. A row begins with the ``Reference:`` line of a
docstring; figures are those whose code imports the function, tests those that name it. A public theory function
without such a line fails the build.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_THEORY = ("linear", "hermite", "sample_exponents", "single_index", "plan")
_STAGES = ("regressor", "literal")
MODULES = tuple(
    [f"testtime.theory.{name}" for name in _THEORY] + [f"testtime.single_index.{name}" for name in _STAGES]
)
PAPERS = ("Gozeten et al. (2025)", "Kuwataka and Suzuki (2026)")
_REFERENCE = re.compile(r"\bReference: (?P<paper>.+?\(\d{4}\)|this project)(?:, (?P<place>.+?))?(?:; .+)?\.$")
_SECTIONS = {"single": "the-single-index-figures", "gpt2": "the-gpt-2-figures"}
_TEST_ROOMS = ("oracles", "unit", "claims", "battery")


@dataclass(frozen=True)
class Entry:
    """One public name of the theory: its dotted path, what its ``Reference:`` line says, its figures and test files."""

    name: str
    paper: str
    place: str
    figures: tuple[str, ...]
    tests: tuple[str, ...]


def reference(docstring: str) -> tuple[str, str] | None:
    """Return paper and place of a docstring, None when it has no ``Reference:`` line."""
    for paragraph in docstring.split("\n\n"):
        found = _REFERENCE.search(" ".join(paragraph.split()))
        if found:
            return found["paper"], found["place"] or ""
    return None


def public() -> Iterator[tuple[str, Any]]:
    """Yield dotted path and value of every public function and class of the theory."""
    seen: set[int] = set()
    for module in MODULES:
        for name in import_module(module).__all__:
            value = getattr(import_module(module), name)
            if callable(value) and hasattr(value, "__module__") and id(value) not in seen:
                seen.add(id(value))
                yield f"{module}.{name}", value


@cache
def _imports(module: str) -> frozenset[str]:
    """Dotted names that a module imports, through other modules of the experiments too."""
    spec = find_spec(module)
    tree = (
        ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        if spec and spec.origin
        else ast.Module([], [])
    )
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            if node.module.startswith("testtime.experiments.") and "simulation" not in node.module:
                found |= _imports(node.module)
    return frozenset(found)


@cache
def _test_words() -> dict[str, frozenset[str]]:
    """Names that each test file uses."""
    paths = [path for room in _TEST_ROOMS for path in sorted((ROOT / "tests" / room).glob("test_*.py"))]
    # What is refused says nothing about a statement.
    paths = [path for path in paths if not path.stem.endswith("_arguments")]
    return {
        path.relative_to(ROOT / "tests").as_posix(): frozenset(
            node.id if isinstance(node, ast.Name) else node.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, (ast.Name, ast.Attribute))
        )
        for path in paths
    }


def entries() -> list[Entry]:
    """Return one entry for each public name; ValueError for one without a ``Reference:`` line or a test."""
    from testtime.experiments.registry import registry

    figures = {name: _imports(figure.run_cell.__module__) for name, figure in registry().items()}
    rows, silent = [], []
    for path, value in public():
        found, name = reference(value.__doc__ or ""), path.rpartition(".")[2]
        tests = tuple(test for test, words in _test_words().items() if name in words)
        if found is None:
            silent.append(f"{path} has no 'Reference:' line")
        elif not tests and not isinstance(value, type):
            silent.append(f"{path} is named by no test")
        elif tests:  # classes that no test names are answers of functions, which are
            drawn = tuple(
                figure for figure, names in figures.items() if any(n.endswith(f".{name}") for n in names)
            )
            rows.append(Entry(path, *found, drawn, tests))
    if silent:
        raise ValueError("; ".join(silent))
    return rows


def _line(entry: Entry) -> str:
    sections = {name: _SECTIONS.get(name.split("-")[0], name) for name in entry.figures}
    figures = ", ".join(f"[{name}](figures.md#{section})" for name, section in sections.items())
    tests = ", ".join(f"`{test}`" for test in entry.tests[:3])
    short = entry.name.rpartition(".")[2]
    return f"| {entry.place or 'setting'} | {{py:obj}}`{short} <{entry.name}>` | {figures} | {tests} |"


def page() -> str:
    """Return the page as Markdown."""
    rows, text = entries(), ["# From a statement to its function, figure and test\n"]
    text.append(
        "Written from the `Reference:` lines of the docstrings, the imports of the figures and the names in the tests "
        "whenever this documentation is built. Of the tests at most three are shown.\n"
    )
    head = "| statement | function | figures | tests |\n|---|---|---|---|"
    for paper in (*PAPERS, "this project"):
        own = sorted((row for row in rows if row.paper == paper), key=lambda row: (row.place, row.name))
        text += [f"## {paper[0].upper()}{paper[1:]}\n", head, *map(_line, own), ""]
    others = [row for row in rows if row.paper not in (*PAPERS, "this project")]
    if others:
        text += ["## Other sources\n", head.replace("statement", "source")]
        text += [_line(Entry(r.name, "", f"{r.paper} {r.place}".strip(), r.figures, r.tests)) for r in others]
    return "\n".join(text) + "\n"


def setup(app: Any) -> dict[str, bool]:
    """Write the page when a build begins."""
    app.connect(
        "builder-inited", lambda app: (Path(app.srcdir) / "papers.md").write_text(page(), encoding="utf-8")
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
