"""Are the tests real? Small changes are made to the code one at a time, and the tests of that file must notice.

    python -m benchmarks.mutation [--files src/testtime/adapt/mix.py ...] [--mutants 20] [--seed 0] [--out FILE]

A mutant swaps a comparison, an arithmetic operator or a truth value, or moves a number, at one random place of a file.
The tests named for the file run on a copy of the repository and stop at the first failure; a mutant that they pass has
survived. Survivors are printed: each is either equivalent to the original, or a test that is missing.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Change = tuple[ast.expr, str, Callable[[], None]]
"""The place, what the change is, and a function that makes it."""

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "benchmarks", "pretraining", "pyproject.toml")
SECONDS = 300.0

TESTS = {
    "src/testtime/adapt/mix.py": ["tests/unit/test_mix.py"],
    "src/testtime/table/levels.py": ["tests/unit/test_table_levels.py", "tests/unit/test_copies.py"],
    "src/testtime/adapt/episodes.py": ["tests/unit/test_episodes.py", "tests/battery/test_sorted_tables.py"],
    "src/testtime/adapt/losses.py": ["src/testtime/adapt/losses.py", "tests/unit/test_regressor_learner.py"],
    "src/testtime/theory/linear/step.py": [
        "tests/unit/test_theory_one_step.py",
        "tests/oracles/test_linear_closed_forms.py",
    ],
    "src/testtime/theory/linear/isotropic.py": [
        "tests/unit/test_theory_one_step.py",
        "tests/oracles/test_linear_closed_forms.py",
    ],
    "src/testtime/store/manifest.py": [
        "tests/faults/test_store_damage.py",
        "tests/faults/test_store_hostile.py",
    ],
}

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
_TRUTH = {ast.And: ast.Or, ast.Or: ast.And}


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Every mutant of a file: line number, what was changed, and the whole changed source.

    >>> [(line, what) for line, what, _ in mutants("def f(a):\\n    return a < 1")]
    [(2, 'Lt -> LtE'), (2, '1 -> 2')]
    """
    places = sum(1 for _ in _changes(ast.parse(source)))
    for place in range(places):
        tree = ast.parse(source)
        for number, (node, what, change) in enumerate(_changes(tree)):
            if number == place:
                change()
                yield node.lineno, what, ast.unparse(tree)
                break


def _changes(tree: ast.Module) -> Iterator[Change]:
    """Each place that can be changed, what the change is, and a function that makes it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
            yield _swap(node, node.ops, 0, _COMPARISONS)
        elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            yield _swap(node, vars(node), "op", _OPERATORS)
        elif isinstance(node, ast.BoolOp):
            yield _swap(node, vars(node), "op", _TRUTH)
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            new = not node.value if isinstance(node.value, bool) else node.value + 1
            yield node, f"{node.value} -> {new}", lambda node=node, new=new: setattr(node, "value", new)


def _swap(node: ast.expr, holder: Any, key: Any, table: dict[type, type]) -> Change:
    old = type(holder[key])
    new = table[old]

    def change() -> None:
        holder[key] = new()

    return node, f"{old.__name__} -> {new.__name__}", change


def survives(file: str, source: str, tree: Path) -> bool:
    """Whether the tests of a file pass with other source in its place."""
    path = tree / file
    original = path.read_text(encoding="utf-8")
    path.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *TESTS[file]]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # an endless loop is noticed
    finally:
        path.write_text(original, encoding="utf-8")
    return done.returncode == 0


def main() -> None:
    """Run the check from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", nargs="+", default=list(TESTS), choices=list(TESTS))
    parser.add_argument("--mutants", type=int, default=20, help="of each file, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/mutation.json")
    options = parser.parse_args()
    rng, report = random.Random(options.seed), {}
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, tree / name)
        for file in options.files:
            source = (ROOT / file).read_text(encoding="utf-8")
            every = list(mutants(source))
            drawn = rng.sample(every, min(options.mutants, len(every)))
            if not survives(file, source, tree):
                raise SystemExit(f"the tests of {file} fail without any change")
            alive = [f"line {line}: {what}" for line, what, changed in drawn if survives(file, changed, tree)]
            report[file] = {"mutants": len(drawn), "survivors": alive}
            print(
                f"{file}: {len(drawn) - len(alive)} of {len(drawn)} noticed", *alive, sep="\n  ", flush=True
            )
    total = sum(row["mutants"] for row in report.values())
    noticed = total - sum(len(row["survivors"]) for row in report.values())
    print(f"score {noticed / total:.0%} ({noticed} of {total})")
    options.out.write_text(
        json.dumps({"seed": options.seed, "files": report}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
