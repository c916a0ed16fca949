"""Tables from pipes and standard input, and the memory that reading takes."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading

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


READ = """
import sys
from testtime.table.readers import iterate_table, read_table
frame, facts = read_table(sys.argv[1])
print(facts.path, len(frame))
"""


def run(code: str, *arguments: str, stdin: bytes = b"") -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, env=environment, check=True
    ).stdout.decode()


@pytest.mark.parametrize(("path", "name"), [("-", "standard input"), ("/dev/stdin", "/dev/stdin")])
def test_standard_input(path, name):
    assert run(READ, path, stdin=b"a,b\n" + b"1,2\n" * 100_000) == f"{name} 100000\n"
    assert run(READ, path, stdin=gzip.compress(b"a,b\n1,2\n")) == f"{name} 1\n"


MEASURE = """
import resource, sys
from testtime.table.readers import iterate_table, read_table
from testtime.table.columns import TableColumns
columns = TableColumns()
frame, facts = read_table(sys.argv[1], max_rows=1000)
columns.fit_transform(frame)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frame, facts = read_table(sys.argv[1], max_rows=1000)
rows = sum(len(columns.transform(piece).x) for piece in iterate_table(sys.argv[1], columns.required))
print(len(frame), facts.rows, rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    rng = np.random.default_rng(0)
    lines = [",".join(f"{value:.6f}" for value in row) for row in rng.random((1000, 20))]
    used = {}
    for times in (50, 200):  # 9 and 36 MB
        path = tmp_path / f"{times}.csv"
        path.write_text(",".join(f"c{i}" for i in range(20)) + "\n" + ("\n".join(lines) + "\n") * times)
        kept, seen, encoded, used[times] = map(int, run(MEASURE, str(path)).split())
        assert (kept, seen, encoded) == (1000, 1000 * times, 1000 * times)
    assert used[200] < used[50] + 40  # MB; all rows as text would be 150 MB more
