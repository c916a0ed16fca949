"""A save that is killed leaves the old adapter or the new one, never a mixture."""

import os
import subprocess
import sys

import pytest

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from testtime.store import load_adapter, save_adapter
assert "torch" not in sys.modules

folder, trials, overwrite = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "over"
SIZE = 20_000

def save(target, number):
    tensors = {f"t{i}": np.full(SIZE, number, dtype=np.float32) for i in range(3)}
    save_adapter(target, tensors, {"number": number}, base_fingerprint="ab", overwrite=overwrite)

start = time.perf_counter()
save(folder / "first", 0)
duration = time.perf_counter() - start
draw = random.Random(0)
outcomes = {"old": 0, "new": 0}
for trial in range(trials):
    target = folder / ("first" if overwrite else f"adapter{trial}")
    child = os.fork()
    if child == 0:
        save(target, trial + 1)
        time.sleep(60)
    time.sleep(draw.uniform(0, 2 * duration))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not target.exists():
        outcomes["old"] += 1
        continue
    tensors, _, meta = load_adapter(target, base_fingerprint="ab")
    values = {float(value) for tensor in tensors.values() for value in np.unique(tensor)}
    assert values == {float(meta["number"])}, (trial, values, meta)
    new = meta["number"] == trial + 1
    assert new or overwrite
    outcomes["new" if new else "old"] += 1
print(outcomes["old"], outcomes["new"])
"""


@pytest.mark.parametrize("version", ["new", "over"])
def test_a_killed_save_leaves_old_or_new(tmp_path, version):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), "200", version],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    old, new = map(int, done.stdout.split())
    assert old + new == 200
    assert min(old, new) >= 10, "the kills must fall before and after the last step"
