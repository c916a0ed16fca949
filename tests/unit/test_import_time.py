"""Importing the package is cheap and has no side effects."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

import pytest

HEAVY = ("torch", "sklearn", "transformers", "matplotlib", "ray", "pandas", "tabicl", "scipy", "numpy")


def run(*arguments: str) -> tuple[float, str]:
    """Processor seconds and output of a Python process; wall time would measure what else the machine does."""
    before = os.times()
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
    after = os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return spent, done.stdout


def seconds_beyond_the_interpreter(*arguments: str) -> float:
    """Median of three runs, less a bare interpreter run beside each."""
    pairs = [(run(*arguments)[0], run("-c", "pass")[0]) for _ in range(3)]
    return statistics.median(with_ - without for with_, without in pairs)


def test_importing_takes_less_than_a_third_of_a_second():
    assert seconds_beyond_the_interpreter("-c", "import testtime") < 0.3


def test_help_takes_less_than_seven_tenths_of_a_second():
    assert seconds_beyond_the_interpreter("-m", "testtime", "--help") < 0.7


@pytest.mark.parametrize(
    "arguments",
    [("import testtime",), ("import testtime; dir(testtime); testtime.InputError; testtime.__version__",)],
)
def test_importing_loads_nothing_heavy(arguments: tuple[str]):
    _, out = run("-c", f"{arguments[0]}; import sys, json; print(json.dumps(sorted(sys.modules)))")
    loaded = {name.partition(".")[0] for name in json.loads(out)}
    assert loaded.isdisjoint(HEAVY)


def test_help_loads_nothing_heavy():
    code = (
        "import sys, json, runpy; sys.argv = ['testtime', '--help']\n"
        "try: runpy.run_module('testtime', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = {name.partition(".")[0] for name in json.loads(run("-c", code)[1].splitlines()[-1])}
    assert loaded.isdisjoint({"torch", "sklearn", "transformers", "matplotlib", "ray", "pandas", "tabicl"})


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
    assert run("-c", code)[1].strip() == "[]"
