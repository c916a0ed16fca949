"""Would a wrong formula be noticed? Change the formulas behind every figure by 3 to 25% and ask the figure's claims.

    python -m benchmarks.mutation_claims [--out FILE] [--figures NAME ...]

Every mutant is one edit of one function, for instance ``k + 1`` made ``k`` or a coefficient raised by 3%.
For each figure
that draws the function, the table of the quick setting is computed again with the edited code and its claims are
checked. A mutant is noticed when a claim fails. Simulations that the edit cannot reach are not run again: they are
remembered by their arguments. Answers are written to FILE as they come, and a second run goes on from there.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import inspect
import json
import pickle
import textwrap
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from testtime.experiments.figure import Figure
from testtime.experiments.registry import find, names
from testtime.scale.cells import cell_seed

TARGET = 0.95


@dataclass(frozen=True)
class Mutant:
    """One edit of one function, and the figures that draw what it computes.

    Attributes
    ----------
    function
        Dotted path of the function or method.
    old, new
        Text that occurs once in its source, and what replaces it.
    figures
        The figures that must notice.
    """

    function: str
    old: str
    new: str
    figures: tuple[str, ...]

    @property
    def name(self) -> str:
        """Say what is edited."""
        return f"{self.function}: {self.old!r} -> {self.new!r}"


def resolve(path: str) -> types.FunctionType:
    """Return the function at a dotted path, below any cache."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = inspect.getattr_static(found, part)
        return getattr(found, "__wrapped__", found)
    raise ValueError(f"{path} is not a function")


def edited(mutant: Mutant) -> types.CodeType:
    """Return the code of the function after the edit."""
    function = resolve(mutant.function)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: the text occurs {source.count(mutant.old)} times")
    tree = ast.parse(source.replace(mutant.old, mutant.new))
    body = tree.body[0]
    if not isinstance(body, ast.FunctionDef):
        raise TypeError(f"{mutant.function} is not a function")
    body.decorator_list = []
    space: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(tree), mutant.function, "exec"), function.__globals__, space)
    return space[function.__name__].__code__


@contextlib.contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Run with the edited code, wherever the function was imported to; afterwards all is as before."""
    function, code = resolve(mutant.function), edited(mutant)
    kept = function.__code__
    function.__code__ = code
    _forget()
    try:
        yield
    finally:
        function.__code__ = kept
        _forget()


def _forget() -> None:
    """Empty the caches of the library: what was computed with other code is wrong."""
    import gc

    for item in gc.get_objects():
        if isinstance(item, _lru_cache_wrapper) and str(getattr(item, "__module__", "")).startswith(
            "testtime."
        ):
            item.cache_clear()


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a memory keyed by all of its arguments."""
    known: dict[bytes, Any] = {}

    def recall(*args: Any, **options: Any) -> Any:
        key = pickle.dumps((args, sorted(options.items())))
        if key not in known:
            known[key] = function(*args, **options)
        return known[key]

    return recall


def remember_simulations() -> None:
    """Put the memory in front of the simulations, which no formula of the theory can reach but by arguments."""
    from testtime.experiments.linear import (
        alignment,
        alignments,
        context,
        reduction,
        shift,
        simulation,
        small,
        start,
        steps,
    )

    small.simulate_small = remembered(small.simulate_small)
    for name in ("simulate_one_step", "simulate_steps", "simulate_pretraining"):
        recall = remembered(getattr(simulation, name))
        for module in (alignment, alignments, context, reduction, shift, start, steps):
            if hasattr(module, name):
                setattr(module, name, recall)


def failing(figure: Figure) -> list[str]:
    """Return the claims that fail in the quick setting."""
    config = figure.config.quick()
    rows = []
    for cell in figure.cells(config):
        rows += figure.run_cell(config, cell, cell_seed(config.seed, cell["id"]))
    return [claim.statement for claim in figure.claims(pd.DataFrame(rows), config) if not claim.holds]


def main() -> None:
    """Try every mutant on every figure that it concerns, print the share noticed, write JSON."""
    from benchmarks.mutants_linear import MUTANTS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/mutation_claims.json"))
    parser.add_argument("--figures", nargs="*", default=list(names()))
    arguments = parser.parse_args()
    known = json.loads(arguments.out.read_text())["trials"] if arguments.out.exists() else []
    trials = {(trial["figure"], trial["mutant"]): trial for trial in known}
    remember_simulations()
    checked = set()
    with threadpool_limits(limits=1):
        for name, mutant in ordered(MUTANTS, arguments.figures, set(trials)):
            figure = find(name)
            if name not in checked and (failed := failing(figure)):
                raise SystemExit(f"{name} fails without any mutant: {failed}")
            checked.add(name)
            start = time.perf_counter()
            with applied(mutant):
                try:
                    failed = failing(figure)
                except ArithmeticError as error:  # an answer that cannot be is noticed as well
                    failed = [f"raised {type(error).__name__}"]
            trials[name, mutant.name] = {
                "figure": name,
                "mutant": mutant.name,
                "noticed": bool(failed),
                "claims": failed,
                "seconds": round(time.perf_counter() - start, 2),
            }
            print(f"{'noticed' if failed else 'MISSED ':8} {name:20} {mutant.name}", flush=True)
            write(arguments.out, list(trials.values()), [asdict(one) for one in MUTANTS])
    found = list(trials.values())
    share = sum(trial["noticed"] for trial in found) / max(1, len(found))
    n_mutants = len({trial["mutant"] for trial in found})
    print(f"{len(found)} trials of {n_mutants} mutants; noticed {share:.1%}; promised {TARGET:.0%}")


def ordered(
    mutants: list[Mutant], figures: list[str], done: set[tuple[str, str]]
) -> list[tuple[str, Mutant]]:
    """Return the trials that are left: first one of every mutant that has none, spread over its figures, then the rest.

    Trials of one figure stand together in each part, because its simulations are run once.
    """
    tried = {mutant for _, mutant in done}
    first, rest = [], []
    for index, mutant in enumerate(mutants):
        where = [name for name in figures if name in mutant.figures]
        left = [name for name in where if (name, mutant.name) not in done]
        chosen = left[index % len(left)] if left and mutant.name not in tried else None
        first += [(chosen, mutant)] if chosen else []
        rest += [(name, mutant) for name in left if name != chosen]
    return [pair for part in (first, rest) for pair in sorted(part, key=lambda pair: figures.index(pair[0]))]


def write(out: Path, trials: list[dict[str, Any]], mutants: list[dict[str, Any]]) -> None:
    """Write what is known so far."""
    noticed = sum(trial["noticed"] for trial in trials)
    report = {
        "target": TARGET,
        "n_mutants": len(mutants),
        "n_trials": len(trials),
        "n_noticed": noticed,
        "share": noticed / len(trials),
        "trials": trials,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
