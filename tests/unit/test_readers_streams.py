"""Tables from pipes and standard input, and the memory that reading takes."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from tests.support.readers import write_as
from testtime.table.readers import read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


@pytest.mark.parametrize("form", ["CSV", "Parquet", "Excel"])
def test_pipes_are_read_once_to_the_end(tmp_path, form):
    write_as(form, tmp_path / "table.xlsx")
    expected = read_table(tmp_path / "table.xlsx")[0]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(
        target=lambda: pipe.write_bytes((tmp_path / "table.xlsx").read_bytes()), daemon=True
    )
    writer.start()
    pd.testing.assert_frame_equal(read_table(pipe)[0], expected)
    writer.join()


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """Make a pipe with these bytes the standard input of this process."""
    ours, theirs = os.pipe()
    kept, before = os.dup(0), sys.stdin
    os.dup2(ours, 0)
    os.close(ours)

    def write() -> None:
        with open(theirs, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdin = before
        os.dup2(kept, 0)
        os.close(kept)
        writer.join()


@pytest.mark.parametrize(("path", "name"), [("-", "standard input"), ("/dev/stdin", "/dev/stdin")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(path, name, pack):
    with standard_input(pack(b"a,b\n" + b"1,2\n" * 30_000)):
        frame, facts = read_table(path)
    assert (facts.path, len(frame)) == (name, 30_000)


def run(code: str, *arguments: str, stdin: bytes = b"") -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, env=environment, check=True
    ).stdout.decode()


# Of this program alone: what getrusage says begins, on Linux, with what the process that started it had taken.
MEASURE = """
import os, resource, sys
from testtime.table.readers import iterate_table, read_table
from testtime.table.columns import TableColumns

def megabytes():
    if not os.path.exists("/proc/self/status"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024

columns = TableColumns()
table, facts = read_table("-")
columns.fit_transform(table)
for path in sys.argv[1:]:
    frame, facts = read_table(path, max_rows=1000)
    rows = sum(len(columns.transform(piece).x) for piece in iterate_table(path, columns.required))
    print(len(frame), facts.rows, rows, megabytes())
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """One process reads a small file and a larger one: what it has taken at most hardly grows by the second."""
    rng = np.random.default_rng(0)
    lines = [",".join(f"{value:.6f}" for value in row) for row in rng.random((1000, 20))]
    header = ",".join(f"c{i}" for i in range(20)) + "\n"
    for times in (100, 200):  # 18 and 36 MB
        (tmp_path / f"{times}.csv").write_text(header + ("\n".join(lines) + "\n") * times)
    said = run(
        MEASURE,
        *(str(tmp_path / f"{times}.csv") for times in (100, 200)),
        stdin=(header + "\n".join(lines)).encode(),
    )
    used = {}
    for times, line in zip((100, 200), said.splitlines(), strict=True):
        kept, seen, encoded, used[times] = map(int, line.split())
        assert (kept, seen, encoded) == (1000, 1000 * times, 1000 * times)
    assert used[200] < used[100] + 80  # MB; it was 40, and with all pieces kept 260
