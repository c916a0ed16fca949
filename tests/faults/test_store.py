"""A damaged disk, a killed process or a hostile file: a saved adapter is whole or refused."""

import errno
import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from testtime.errors import InputError, StoreError
from testtime.store import adapter as adapter_module
from testtime.store import add_document, atomic, load_adapter, read_document, read_meta, save_adapter

BASE = "ab" * 32
LEVELS = np.array(["a", 2, 0.1, True, None, float("nan"), float("-inf"), "é\n"], dtype=object)


def content(number=0):
    """A small adapter; `number` tells one version from another."""
    tensors = {
        "layer.A": np.full((2, 3), number, dtype=np.float32),
        "layer.B": np.zeros((3, 0), dtype=np.float64),
    }
    arrays = {
        "context": np.arange(6, dtype=np.float64).reshape(2, 3) / 3,
        "levels": LEVELS,
        "names": np.array(["α", "b"]),
        "index": np.array(7, dtype=np.int64),
        "mask": np.array([True, False]),
    }
    return tensors, {"number": number, "seed": 3, "loss": float("inf"), "probes": [{"n": 128}]}, arrays


def save(folder, number=0, **options):
    tensors, meta, arrays = content(number)
    save_adapter(folder, tensors, meta, arrays=arrays, base_fingerprint=BASE, **options)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_order_of_entries_is_kept(tmp_path):
    save_adapter(tmp_path / "adapter", {}, {"b": 1, "a": {"z": 1, "c": 2}}, base_fingerprint=BASE)
    add_document(tmp_path / "adapter", "columns", {"second": 1, "first": 2})
    meta, _ = read_meta(tmp_path / "adapter")
    assert list(meta) == ["b", "a"]
    assert list(meta["a"]) == ["z", "c"]
    assert list(read_document(tmp_path / "adapter", "columns")) == ["second", "first"]


def same(first, second):
    return type(first) is type(second) and (first == second or (first != first and second != second))


def test_everything_comes_back_exactly(tmp_path):
    save(tmp_path / "deep" / "adapter")
    tensors, arrays, meta = load_adapter(tmp_path / "deep" / "adapter", base_fingerprint=BASE)
    given_tensors, given_meta, given_arrays = content()
    assert meta == given_meta
    for given, found in ((given_tensors, tensors), (given_arrays, arrays)):
        assert set(given) == set(found)
        for name in set(given) - {"levels"}:
            assert found[name].dtype == given[name].dtype
            assert found[name].shape == given[name].shape
            assert np.array_equal(found[name], given[name])
    assert all(same(*pair) for pair in zip(arrays["levels"], LEVELS, strict=True))
    assert read_meta(tmp_path / "deep" / "adapter")[0] == given_meta


def test_torch_tensors_come_back_as_numpy(tmp_path):
    import torch

    tensors = {
        "float": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
        "brain": torch.tensor([1.0, 3.140625], dtype=torch.bfloat16),
        "trained": torch.nn.Parameter(torch.ones(2)),
    }
    save_adapter(tmp_path / "adapter", tensors, {}, base_fingerprint=BASE)
    found, _, _ = load_adapter(tmp_path / "adapter", base_fingerprint=BASE)
    assert found["float"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["brain"].tolist() == [1.0, 3.140625]
    assert found["trained"].tolist() == [1, 1]


def test_same_content_gives_same_bytes(tmp_path):
    save(tmp_path / "one")
    save(tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_every_truncation_is_refused(tmp_path):
    save(tmp_path / "adapter")
    tried = 0
    for name, data in tree(tmp_path / "adapter").items():
        path = tmp_path / "adapter" / name
        for length in range(len(data)):
            path.write_bytes(data[:length])
            with pytest.raises(StoreError, match="damaged"):
                load_adapter(tmp_path / "adapter", base_fingerprint=BASE)
            tried += 1
        path.write_bytes(data)
    assert tried > 1000
    load_adapter(tmp_path / "adapter", base_fingerprint=BASE)


def test_every_flipped_bit_is_refused(tmp_path):
    save(tmp_path / "adapter")
    accepted, tried = [], 0
    for name, data in tree(tmp_path / "adapter").items():
        path = tmp_path / "adapter" / name
        handle = os.open(path, os.O_WRONLY)
        for position in range(len(data)):
            for bit in range(8):
                os.pwrite(handle, bytes([data[position] ^ (1 << bit)]), position)
                try:
                    load_adapter(tmp_path / "adapter", base_fingerprint=BASE)
                    accepted.append((name, position, bit))
                except StoreError:
                    tried += 1
            os.pwrite(handle, data[position : position + 1], position)
        os.close(handle)
    assert accepted == []
    assert tried == 8 * sum(map(len, tree(tmp_path / "adapter").values()))


def read_all(folder):
    load_adapter(folder, base_fingerprint=BASE)
    read_document(folder, "curves")


def test_appended_bytes_and_missing_files_are_refused(tmp_path):
    save(tmp_path / "adapter")
    add_document(tmp_path / "adapter", "curves", {"n": [1, 2]})
    for name, data in tree(tmp_path / "adapter").items():
        path = tmp_path / "adapter" / name
        path.write_bytes(data + b"\n")
        with pytest.raises(StoreError, match="damaged"):
            read_all(tmp_path / "adapter")
        path.unlink()
        with pytest.raises(StoreError, match=r"is missing|holds no saved adapter"):
            read_all(tmp_path / "adapter")
        path.write_bytes(data)
    read_all(tmp_path / "adapter")


def test_another_base_model_is_refused(tmp_path):
    save(tmp_path / "adapter")
    with pytest.raises(
        StoreError, match=r"base model abababababab, and this one is cdcdcdcdcdcd .*fit again"
    ):
        load_adapter(tmp_path / "adapter", base_fingerprint="cd" * 32)
    load_adapter(tmp_path / "adapter", base_fingerprint=None)


def rewrite_manifest(folder, change):
    """Change the manifest and put the right hash on it, as an attacker would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    change(manifest)
    text = json.dumps(manifest, indent=1) + "\n"
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(manifest, indent=1) + "\n")


def test_the_rewriting_helper_is_accepted_when_it_changes_nothing(tmp_path):
    save(tmp_path / "adapter")
    before = tree(tmp_path / "adapter")
    rewrite_manifest(tmp_path / "adapter", lambda manifest: None)
    assert tree(tmp_path / "adapter") == before


@pytest.mark.parametrize(
    "name",
    [
        "../secret.json",
        "/etc/passwd",
        "..",
        "tensors-0123456789abcdef.safetensors/../x",
        "a\\b.json",
        "",
        "manifest.json",
    ],
)
def test_names_outside_of_the_folder_are_refused(tmp_path, name):
    save(tmp_path / "adapter")
    rewrite_manifest(tmp_path / "adapter", lambda manifest: manifest["files"]["tensors"].update(name=name))
    with pytest.raises(StoreError, match="may only refer to files in its own folder"):
        load_adapter(tmp_path / "adapter", base_fingerprint=BASE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(format_version=2), "newer testtime.*pip install --upgrade"),
        (lambda manifest: manifest.update(format_version="1"), "damaged"),
        (lambda manifest: manifest.update(format="something else"), "damaged"),
        (lambda manifest: manifest.pop("files"), "damaged"),
        (lambda manifest: manifest["files"].pop("arrays"), "names no file of arrays"),
        (lambda manifest: manifest["files"]["tensors"].update(size=-1), "damaged"),
        (lambda manifest: manifest["files"]["tensors"].update(sha256="0"), "damaged"),
        (lambda manifest: manifest["files"]["tensors"].update(size=10**15), "damaged"),
        (lambda manifest: manifest["labels"]["levels"].update(shape=[3]), "labels is malformed"),
        (
            lambda manifest: manifest["labels"]["levels"].update(items=[["pickle", "x"]]),
            "labels is malformed",
        ),
    ],
)
def test_a_hand_made_manifest_is_checked(tmp_path, change, said):
    save(tmp_path / "adapter")
    rewrite_manifest(tmp_path / "adapter", change)
    with pytest.raises(StoreError, match=said):
        load_adapter(tmp_path / "adapter", base_fingerprint=BASE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 8) + b'{"a":1}}',
        struct.pack("<Q", 59) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,999999]}}',
        struct.pack("<Q", 70) + b'{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}',
    ],
)
def test_absurd_safetensors_headers_are_refused(tmp_path, data):
    save(tmp_path / "adapter")
    digest = hashlib.sha256(data).hexdigest()
    name = f"tensors-{digest[:16]}.safetensors"
    (tmp_path / "adapter" / name).write_bytes(data)
    entry = {"name": name, "size": len(data), "sha256": digest}
    rewrite_manifest(tmp_path / "adapter", lambda manifest: manifest["files"].update(tensors=entry))
    with pytest.raises(StoreError, match="is not a safetensors file"):
        load_adapter(tmp_path / "adapter", base_fingerprint=BASE)


def test_manifests_that_are_no_manifest_are_refused(tmp_path, monkeypatch):
    save(tmp_path / "adapter")
    path = tmp_path / "adapter" / "manifest.json"
    for data in (b"", b"\xff\xfe", b"[" * 100_000, b"null", b"{}", b"9" * 10_000, b"[1e999]"):
        path.write_bytes(data)
        with pytest.raises(StoreError, match="damaged"):
            load_adapter(tmp_path / "adapter", base_fingerprint=BASE)
    monkeypatch.setattr(adapter_module, "_MAX_MANIFEST_BYTES", 10)
    path.write_bytes(b" " * 11)
    with pytest.raises(StoreError, match="11 bytes long"):
        load_adapter(tmp_path / "adapter", base_fingerprint=BASE)


@pytest.mark.parametrize("where", ["nothing", "file", "empty"])
def test_a_place_without_an_adapter_is_refused(tmp_path, where):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="holds no saved adapter"):
        load_adapter(tmp_path / where, base_fingerprint=BASE)


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    save(tmp_path / "adapter", 1)
    before = tree(tmp_path)
    with pytest.raises(StoreError, match=r"exists.*Choose another name"):
        save(tmp_path / "adapter", 2)
    assert tree(tmp_path) == before
    save(tmp_path / "adapter", 2, overwrite=True)
    assert load_adapter(tmp_path / "adapter", base_fingerprint=BASE)[2]["number"] == 2
    assert len(tree(tmp_path)) == len(before)  # nothing of the old version is left


def test_only_adapters_are_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    before = tree(tmp_path)
    for name in ("thesis", "file"):
        with pytest.raises(StoreError, match="is not a saved adapter"):
            save(tmp_path / name, overwrite=True)
    assert tree(tmp_path) == before
    (tmp_path / "empty").mkdir()
    save(tmp_path / "empty", overwrite=True)
    load_adapter(tmp_path / "empty", base_fingerprint=BASE)


def test_overwriting_leaves_files_of_the_user(tmp_path):
    save(tmp_path / "adapter", 1)
    (tmp_path / "adapter" / "report.html").write_text("seen")
    save(tmp_path / "adapter", 2, overwrite=True)
    assert (tmp_path / "adapter" / "report.html").read_text() == "seen"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"tensors": {"a": np.array([1 + 2j], dtype=np.clongdouble)}},
            "'a' of type complex",
        ),
        ({"arrays": {"a": np.array(["2020-01-01"], dtype="datetime64[D]")}}, "cannot be saved"),
        ({"arrays": {"a": np.array([b"x"], dtype=object)}}, "label b'x' of type bytes"),
        ({"meta": {"a": {1, 2}}}, "of type set cannot be saved"),
        ({"meta": {1: "a"}}, "key 1 cannot be saved"),
        ({"meta": {"$float": "nan"}}, "cannot be saved"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path, change, said):
    arguments = {"tensors": {}, "meta": {}} | change
    with pytest.raises(StoreError, match=said):
        save_adapter(tmp_path / "adapter", **arguments, base_fingerprint=BASE)
    assert list(tmp_path.iterdir()) == []


# --- a full disk, a failing rename


def failing(calls_before, original, error):
    calls = iter(range(10**6))

    def call(*args, **kwargs):
        if next(calls) >= calls_before:
            raise error
        return original(*args, **kwargs)

    return call


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("function", "successes"), [("_write_file", 0), ("_write_file", 1), ("_write_file", 2), ("_commit", 0)]
)
@pytest.mark.parametrize("error", [NO_SPACE, KeyboardInterrupt()])
@pytest.mark.parametrize("version", ["new", "over"])
def test_a_failing_write_leaves_what_was_there(tmp_path, monkeypatch, function, successes, error, version):
    target = tmp_path / "parent" / "adapter"
    if version == "over":
        save(target, 1)
    before = tree(tmp_path)
    monkeypatch.setattr(atomic, function, failing(successes, getattr(atomic, function), error))
    said = "could not be written: No space left on device" if error is NO_SPACE else None
    with pytest.raises((StoreError, KeyboardInterrupt), match=said):
        save(target, 2, overwrite=True)
    assert tree(tmp_path) == before
    assert (tmp_path / "parent").exists() == bool(before)
    monkeypatch.undo()
    save(target, 2, overwrite=True)
    assert load_adapter(target, base_fingerprint=BASE)[2]["number"] == 2


def test_a_file_system_that_cannot_flush_folders_is_enough(tmp_path, monkeypatch):
    flush = os.fsync

    def refuse(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    save(tmp_path / "adapter", 1)
    save(tmp_path / "adapter", 2, overwrite=True)
    assert load_adapter(tmp_path / "adapter", base_fingerprint=BASE)[2]["number"] == 2


def test_a_single_file_is_replaced_whole(tmp_path, monkeypatch):
    target = tmp_path / "table.csv"
    atomic.replace_file(target, lambda path: path.write_text("old"))

    def stop(path):
        path.write_text("half")
        raise NO_SPACE

    with pytest.raises(StoreError, match=r"table.csv' could not be written: No space left"):
        atomic.replace_file(target, stop)
    assert tree(tmp_path) == {"table.csv": b"old"}
    with pytest.raises(StoreError, match=r"missing.*could not be written: No such file"):
        atomic.replace_file(tmp_path / "missing" / "table.csv", lambda path: path.write_text("new"))


def test_a_document_is_covered_and_replaced(tmp_path, monkeypatch):
    save(tmp_path / "adapter")
    assert read_document(tmp_path / "adapter", "curves") is None
    add_document(tmp_path / "adapter", "curves", {"n": [16, 32], "loss": float("nan")})
    add_document(tmp_path / "adapter", "curves", {"n": [64], "loss": None})
    assert read_document(tmp_path / "adapter", "curves") == {"n": [64], "loss": None}
    assert len(tree(tmp_path / "adapter")) == 4
    before = tree(tmp_path)
    monkeypatch.setattr(atomic, "_write_file", failing(1, atomic._write_file, NO_SPACE))
    with pytest.raises(StoreError, match="No space left"):
        add_document(tmp_path / "adapter", "curves", {"n": [128]})
    assert tree(tmp_path) == before
    for name in ("../x", "X", "", "a.b"):
        with pytest.raises(InputError, match="document name"):
            add_document(tmp_path / "adapter", name, {})


# --- SIGKILL

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


def test_no_pickle_on_any_path():
    for path in Path(adapter_module.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert not any(
            word in text for word in ("import pickle", "torch.load", "allow_pickle", "joblib", "eval(")
        )
