"""A save that is killed leaves the old adapter or the new one, never a mixture."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testtime.store import atomic, leftovers

KILLED = """
import os, random, signal, sys
from pathlib import Path
import numpy as np
from testtime.store import open_adapter, save_adapter
assert "torch" not in sys.modules

folder, trials, overwrite = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "over"
SIZE = 5_000

def save(target, number, overwrite=overwrite):
    tensors = {f"t{i}": np.full(SIZE, number, dtype=np.float32) for i in range(3)}
    save_adapter(target, tensors, {"number": number}, base_fingerprint="ab" * 32, overwrite=overwrite)

def counted(kill_at=None):
    # Calls and returns, of C functions too; a clock would kill at other places on a busy machine.
    seen = [0]
    def profile(frame, event, argument):
        seen[0] += 1
        if seen[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(profile)
    return seen

save(folder / "timed", 0, overwrite=True)  # the first is longer
seen = counted()
save(folder / "timed", 0, overwrite=True)
sys.setprofile(None)
n_calls = seen[0]
save(folder / "first", 0)
draw = random.Random(0)
outcomes = {"old": 0, "new": 0}
for trial in range(trials):
    target = folder / ("first" if overwrite else f"adapter{trial}")
    child = os.fork()
    if child == 0:
        counted(kill_at=draw.randint(1, round(1.25 * n_calls)))
        save(target, trial + 1)
        os.kill(os.getpid(), signal.SIGKILL)
    draw.random()  # the child drew from a copy
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    if not target.exists():
        outcomes["old"] += 1
        continue
    with open_adapter(target) as saved:
        tensors, meta = saved.tensors(), saved.meta
    values = {float(value) for tensor in tensors.values() for value in np.unique(tensor)}
    assert values == {float(meta["number"])}, (trial, values, meta)
    new = meta["number"] == trial + 1
    assert new or overwrite
    outcomes["new" if new else "old"] += 1
save(folder / ("first" if overwrite else "last"), 0)
assert not list(folder.rglob("*.tmp")), "what the killed left is removed"
print(outcomes["old"], outcomes["new"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["new", "over"])
def test_a_killed_save_leaves_old_or_new(tmp_path, version):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), "40", version],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    old, new = map(int, done.stdout.split())
    assert old + new == 40
    assert min(old, new) >= 4, "the kills must fall before and after the last step"


# --- what a killed writer leaves

WRITER = """
import sys, time
from pathlib import Path
from testtime.store import atomic

def wait(source, target):
    print("staged", flush=True)
    time.sleep(600)

atomic._commit = wait
folder, kind = Path(sys.argv[1]), sys.argv[2]
if kind == "folder":
    atomic.write_folder(folder / "new", {"a": b"1", "b": b"2"})
elif kind == "file":
    atomic.replace_file(folder / "new.csv", lambda path: path.write_text("1"))
else:
    atomic.write_into_folder(folder, {"a": b"1"}, last="a")
"""
KINDS = ("folder", "file", "document")


def staged(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".tmp"))


def start_writer(folder, kind="folder"):
    """Start a process that has written everything and waits before the step that counts."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), kind], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "staged\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def save_again(folder, kind):
    if kind == "folder":
        atomic.write_folder(folder / "next", {"a": b"1"})
    elif kind == "file":
        atomic.replace_file(folder / "next.csv", lambda path: path.write_text("1"))
    else:
        atomic.write_into_folder(folder, {"next": b"1"}, last="next")


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_save_removes_what_a_killed_one_staged_and_nothing_of_a_living_one(tmp_path, kind):
    dead, living = start_writer(tmp_path, kind), start_writer(tmp_path)
    kill(dead)
    try:
        assert len(staged(tmp_path)) == 2
        save_again(tmp_path, kind)
        (left,) = staged(tmp_path)
        assert f"-{living.pid}-" in left
    finally:
        kill(living)
    save_again(tmp_path / "elsewhere", "folder")
    assert staged(tmp_path) == [left], "only the folder that is saved into is swept"
    atomic.replace_file(tmp_path / "last.csv", lambda path: path.write_text("1"))
    assert staged(tmp_path) == []


def test_what_another_machine_staged_is_removed_after_a_day(tmp_path):
    """A process number of another machine says nothing here; only its silence does."""
    kill(start_writer(tmp_path))
    (name,) = staged(tmp_path)
    foreign = tmp_path / name.replace(leftovers._machine(), "0123abcd")
    (tmp_path / name).rename(foreign)
    now = foreign.stat().st_mtime
    os.utime(foreign, (now, now - leftovers.ABANDONED_AFTER + 60))
    save_again(tmp_path, "file")
    assert staged(tmp_path) == [foreign.name]
    os.utime(foreign, (now, now - leftovers.ABANDONED_AFTER - 60))
    save_again(tmp_path, "file")
    assert staged(tmp_path) == []


def test_files_of_the_user_are_not_swept(tmp_path):
    machine = leftovers._machine()
    names = (
        ".notes.tmp",
        ".a.0123456789ab.tmp",
        f"a.{machine}-1-0123456789ab.tmp",
        f".a.{machine}-x-0123456789ab.tmp",
    )
    for name in names:
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (0, 0))
    save_again(tmp_path, "file")
    assert staged(tmp_path) == sorted(names)


def test_a_number_no_process_can_have_is_left_alone(tmp_path):
    path = tmp_path / f".a.{leftovers._machine()}-{10**30}-0123456789ab.tmp"
    path.write_text("odd")
    save_again(tmp_path, "file")
    assert Path(path).exists()
