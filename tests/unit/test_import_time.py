"""Importing the package is cheap and has no side effects."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

HEAVY = ("torch", "sklearn", "transformers", "matplotlib", "ray", "pandas", "tabicl", "scipy", "numpy")


HELP = (
    "import sys, json, runpy; sys.argv = ['testtime', '--help']\n"
    "try: runpy.run_module('testtime', run_name='__main__')\n"
    "except SystemExit as stop: assert not stop.code\n"
)


def run(code: str) -> tuple[float, str]:
    """Seconds and output of a Python process."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def modules(code: str) -> set[str]:
    """What a Python process has loaded when it has run `code`."""
    _, out = run(f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))")
    return set(json.loads(out.splitlines()[-1]))


def seconds(*codes: str) -> list[float]:
    """Shortest of five runs of each, taken in turns: what else the machine does slows all of them."""
    runs = [[run(code)[0] for code in codes] for _ in range(5)]
    return [min(column) for column in zip(*runs, strict=True)]


def test_importing_loads_few_modules():
    """The interpreter is subtracted; 30 with Python 3.11, all but one of the standard library."""
    assert len(modules("import testtime") - modules("pass")) < 60


def test_help_loads_few_modules_beside_those_of_typer():
    ours = modules(HELP) - modules("import typer, testtime.errors, runpy; from typing import Annotated")
    assert len(ours) < 100
    assert sum(name.startswith("testtime.") for name in ours) < 30


def test_importing_takes_no_longer_than_a_few_interpreters():
    """Twice as long as starting Python where this was measured; NumPy alone is more than ten times."""
    bare, with_import = seconds("pass", "import testtime")
    assert with_import < 5 * bare


def test_help_takes_no_longer_than_a_few_imports_of_typer():
    typer, with_help = seconds("import typer", HELP)
    assert with_help < 4 * typer


@pytest.mark.parametrize(
    "code", ["import testtime", "import testtime; dir(testtime); testtime.InputError; testtime.__version__"]
)
def test_importing_loads_nothing_heavy(code: str):
    assert {name.partition(".")[0] for name in modules(code)}.isdisjoint(HEAVY)


def test_help_loads_nothing_heavy():
    assert {name.partition(".")[0] for name in modules(HELP)}.isdisjoint(set(HEAVY) - {"numpy", "scipy"})


def test_importing_opens_no_file_no_socket_and_draws_no_number():
    """An audit hook sees every file that is opened; only Python's own modules may be read."""
    code = (
        "import sys, random\n"
        "seen = []\n"
        "def watch(event, args):\n"
        "    if event.startswith('socket') or (event == 'open' and not str(args[0]).endswith(('.py', '.pyc'))):\n"
        "        seen.append((event, str(args[0])))\n"
        "state = random.getstate()\n"
        "sys.addaudithook(watch)\n"
        "import testtime\n"
        "assert random.getstate() == state\n"
        "print(seen)"
    )
    assert run(code)[1].strip() == "[]"
