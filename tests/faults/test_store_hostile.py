"""A manifest or payload made by hand, with the right hashes on it, is refused with a sentence or is harmless."""

import hashlib
import json
import resource
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.support.adapters import load, rewrite_manifest, save, tree
from tests.support.hostile import load_table, save_table
from testtime.errors import StoreError
from testtime.store import reading


def test_another_base_model_is_refused(tmp_path):
    save(tmp_path / "adapter")
    with pytest.raises(
        StoreError, match=r"base model abababababab, and this one is cdcdcdcdcdcd .*fit again"
    ):
        load(tmp_path / "adapter", "cd" * 32)
    load(tmp_path / "adapter", None)


def test_the_helpers_accept_what_was_saved(tmp_path):
    save_table(tmp_path / "adapter")
    before = tree(tmp_path / "adapter")
    rewrite_manifest(tmp_path / "adapter", lambda manifest: None)
    assert tree(tmp_path / "adapter") == before
    table, tensors, arrays, curves = load_table(tmp_path / "adapter")
    assert (table.n_context, table.columns[1].levels, curves["n"]) == (5, ["a", "b"], [1, 2])
    assert set(tensors) == {"0/layer.A", "1/layer.A"}
    assert arrays["labels"].tolist() == ["level 0", "level 1", "level 2", 1, 0.5, None, True]


@pytest.mark.parametrize(
    "name",
    [
        "../secret.json",
        "/etc/passwd",
        "..",
        "tensors-0123456789abcdef.safetensors/../x",
        "tensors-0123456789abcdef.safetensors",  # of another hash
        "a\\b.json",
        "",
        "manifest.json",
        "tensors.html",
        "tensors\n",
    ],
)
def test_names_outside_of_the_folder_are_refused(tmp_path, name):
    save(tmp_path / "adapter")
    rewrite_manifest(tmp_path / "adapter", lambda manifest: manifest["files"]["tensors"].update(name=name))
    with pytest.raises(
        StoreError, match=r"may only refer to files in its own folder|names no file of tensors"
    ):
        load(tmp_path / "adapter")


def put(*path_and_value):
    """Return a change that sets a value deep in the manifest."""
    *path, last, value = path_and_value

    def change(manifest):
        for step in path:
            manifest = manifest[step]
        if value is GONE:
            del manifest[last]
        else:
            manifest[last] = value

    return change


GONE = object()
NAN, INF = {"$float": "nan"}, {"$float": "inf"}


def nested(depth, leaf=0):
    for _ in range(depth):
        leaf = [leaf]
    return leaf


ENVELOPE = {
    "newer": put("format_version", 3),
    "far newer": put("format_version", 10**4000),
    "version true": put("format_version", True),
    "version text": put("format_version", "1"),
    "version real": put("format_version", 2.0),
    "version zero": put("format_version", 0),
    "version negative": put("format_version", -1),
    "version gone": put("format_version", GONE),
    "another format": put("format", "something else"),
    "unknown field": put("extra", 1),
    "fingerprint a number": put("base_fingerprint", 5),
    "fingerprint short": put("base_fingerprint", "ab"),
    "fingerprint long": put("base_fingerprint", "ab" * 33),
    "fingerprint with a newline": put("base_fingerprint", "ab" * 32 + "\n"),
    "fingerprint none": put("base_fingerprint", None),
    "versions a list": put("versions", []),
    "versions of numbers": put("versions", {"numpy": 2}),
    "versions long": put("versions", {"numpy": "1" * 10_000}),
    "versions many": put("versions", {f"package{i}": "1" for i in range(1000)}),
    "meta a list": put("meta", []),
    "meta none": put("meta", None),
    "meta deep": put("meta", "n_context", nested(200)),
    "meta as deep as JSON goes": put("meta", "n_context", nested(700)),
    "meta tagged by hand": put("meta", "loss", {"$float": "1e999"}),
    "meta tagged with a list": put("meta", "loss", {"$float": [1]}),
    "meta tagged with text": put("meta", "loss", {"$float": "boom"}),
    "meta tagged as code": put("meta", "loss", {"$python": "exit()"}),
    "meta with a number of 4,000 digits": put("meta", "seed", 10**4000),
    "labels a list": put("labels", []),
    "labels none": put("labels", "labels", None),
    "labels without items": put("labels", "labels", "items", GONE),
    "labels of another type": put("labels", "labels", "dtype", "complex"),
    "labels of objects as text": put("labels", "labels", "dtype", "str"),
    "labels reshaped": put("labels", "labels", "shape", [3]),
    "labels of unknown length": put("labels", "labels", "shape", [-1]),
    "labels of true length": put("labels", "classes", "shape", [True, 2]),
    "labels of real length": put("labels", "labels", "shape", [7.0]),
    "labels of many axes": put("labels", "labels", "shape", [1] * 99 + [7]),
    "labels of huge axes": put("labels", "labels", "shape", [10**12, 0]),
    "labels pickled": put("labels", "labels", "items", 0, ["pickle", "x"]),
    "labels not in pairs": put("labels", "labels", "items", 0, ["str"]),
    "labels of numbers": put("labels", "labels", "items", 0, ["int", 5]),
    "labels that are no number": put("labels", "labels", "items", 0, ["int", "five"]),
    "labels of 5,000 digits": put("labels", "labels", "items", 0, ["int", "9" * 5000]),
    "labels out of range": put("labels", "labels", "items", 0, ["float", "0x1p99999"]),
    "labels neither true nor false": put("labels", "labels", "items", 0, ["bool", "maybe"]),
    "labels that are a text": put("labels", "labels", "items", "1234567"),
    "files gone": put("files", GONE),
    "files a list": put("files", []),
    "file none": put("files", "tensors", None),
    "file a list": put("files", "tensors", []),
    "tensors gone": put("files", "tensors", GONE),
    "arrays gone": put("files", "arrays", GONE),
    "size negative": put("files", "tensors", "size", -1),
    "size zero": put("files", "tensors", "size", 0),
    "size true": put("files", "tensors", "size", True),
    "size real": put("files", "tensors", "size", 1e3),
    "size text": put("files", "tensors", "size", "100"),
    "size huge": put("files", "tensors", "size", 10**15),
    "size of 4,000 digits": put("files", "tensors", "size", 10**4000),
    "hash short": put("files", "tensors", "sha256", "0"),
    "hash of another file": put("files", "tensors", "sha256", "0" * 64),
    "hash a number": put("files", "tensors", "sha256", 0),
    "file with a mode": put("files", "tensors", "mode", "0777"),
    "role a path": put("files", "../x", {"name": "../x.html", "size": 0, "sha256": "0" * 64}),
    "page in version 1": lambda manifest: manifest.update(
        format_version=1,
        files=manifest["files"] | {"report": {"name": "report.html", "size": 0, "sha256": "0" * 64}},
    ),
    "many files": lambda manifest: manifest["files"].update(
        {f"p{'a' * (i % 30)}{chr(97 + i // 30 % 26)}{chr(97 + i // 780)}": {} for i in range(2000)}
    ),
}

RECORD = {
    "context of true": put("meta", "n_context", True),
    "context real": put("meta", "n_context", 1e6),
    "context text": put("meta", "n_context", "5"),
    "context negative": put("meta", "n_context", -5),
    "context of another table": put("meta", "n_context", 6),
    "context endless": put("meta", "n_context", INF),
    "members: a thousand million": put("meta", "n_members", 10**9),
    "members none": put("meta", "n_members", 0),
    "members more than saved": put("meta", "n_members", 3),
    "members fewer than saved": put("meta", "n_members", 1),
    "step not a number": put("meta", "step_size", NAN),
    "step endless": put("meta", "step_size", INF),
    "step true": put("meta", "step_size", True),
    "step null": put("meta", "step_size", None),
    "loss text": put("meta", "loss", "low"),
    "seed a list": put("meta", "seed", [1]),
    "columns empty": put("meta", "columns", []),
    "columns none": put("meta", "columns", None),
    "columns a mapping": put("meta", "columns", {}),
    "columns of text": put("meta", "columns", ["age"]),
    "column gone": put("meta", "columns", 1, GONE),
    "column of unknown kind": put("meta", "columns", 0, "kind", "code"),
    "column without a name": put("meta", "columns", 0, "name", GONE),
    "column with a long name": put("meta", "columns", 0, "name", "x" * 10**6),
    "levels in lists": put("meta", "columns", 1, "levels", [["a"]]),
    "field gone": put("meta", "n_context", GONE),
    "field unknown": put("meta", "n_rows", 7),
}


@pytest.mark.parametrize("change", [*ENVELOPE.values(), *RECORD.values()], ids=[*ENVELOPE, *RECORD])
def test_a_hand_made_manifest_is_refused(tmp_path, change):
    save_table(tmp_path / "adapter")
    rewrite_manifest(tmp_path / "adapter", change)
    with pytest.raises(StoreError, match=r"damaged|newer testtime.*pip install --upgrade") as raised:
        load_table(tmp_path / "adapter")
    assert len(str(raised.value)) < 1000


def test_there_are_enough_of_them():
    assert len(ENVELOPE) + len(RECORD) >= 90


def test_labels_whose_longest_would_widen_all_are_refused_before_they_are_made(tmp_path):
    """A NumPy text array gives each entry the room of the longest: 1 MB of JSON asks for 40 GB."""
    items = [["str", "x" * 10**6]] + [["str", ""]] * 10**4
    save_table(tmp_path / "adapter")
    classes = {"dtype": "str", "shape": [len(items)], "items": items}
    rewrite_manifest(tmp_path / "adapter", put("labels", "classes", classes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StoreError, match="labels would take more than"):
        load_table(tmp_path / "adapter")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "kB"


HEADERS = [
    b"",
    b"\x00",
    struct.pack("<Q", 2**63) + b"{}",
    struct.pack("<Q", 2**40) + b"{}",
    struct.pack("<Q", 2) + b"[]",
    struct.pack("<Q", 8) + b'{"a":1}}',
    struct.pack("<Q", 59) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,999999]}}',
    struct.pack("<Q", 70) + b'{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}',
]


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def put_payload(folder, role, data):
    digest = hashlib.sha256(data).hexdigest()
    name = f"{role}-{digest[:16]}.safetensors"
    (folder / name).write_bytes(data)
    entry = {"name": name, "size": len(data), "sha256": digest}
    rewrite_manifest(folder, put("files", role, entry))


@pytest.mark.parametrize("data", HEADERS)
def test_absurd_safetensors_headers_are_refused(tmp_path, data):
    save(tmp_path / "adapter")
    put_payload(tmp_path / "adapter", "tensors", data)
    with pytest.raises(StoreError, match="is not a safetensors file"):
        load(tmp_path / "adapter")


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}},
        {"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}},
        {"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}},
        {"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "U8", "shape": [1] * 99, "data_offsets": [0, 1]}},
        {"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}},
        {"0/layer.A": {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]}},
        {},
    ],
)
def test_odd_types_and_shapes_of_tensors_are_refused(tmp_path, header):
    size = max((item["data_offsets"][1] for item in header.values()), default=0)
    save_table(tmp_path / "adapter")
    put_payload(tmp_path / "adapter", "tensors", safetensors(header, b"\0" * size))
    with pytest.raises(StoreError, match="damaged"):
        load_table(tmp_path / "adapter")


ARRAYS = {
    "context_x": np.arange(10.0).reshape(5, 2),
    "context_y": np.arange(5) % 2,
    "order": np.array([[0, 1], [1, 0]]),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"context_y": np.arange(4)}, r"'context_y' has the shape \(4,\) instead of \(n\), n=5"),
        (
            {"context_x": np.zeros((5, 3))},
            r"'context_x' has the shape \(5, 3\) instead of \(n, d\), n=5, d=2",
        ),
        ({"context_x": np.zeros(5)}, r"'context_x' has the shape \(5,\)"),
        ({"context_x": np.zeros((5, 2), dtype=np.int8)}, "'context_x' has the type int8"),
        ({"context_y": np.zeros(5)}, "'context_y' has the type float64"),
        ({"order": np.array([[0, 1]])}, r"'order' has the shape \(1, 2\) instead of \(m, d\), m=2"),
        ({"order": None}, "'order' is missing"),
        ({"more": np.zeros(1)}, "'more' is unknown"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path, change, said):
    from safetensors.numpy import save as dump

    save_table(tmp_path / "adapter")
    arrays = {name: array for name, array in (ARRAYS | change).items() if array is not None}
    put_payload(tmp_path / "adapter", "arrays", dump(arrays))
    with pytest.raises(StoreError, match=said):
        load_table(tmp_path / "adapter")


@pytest.mark.parametrize(
    "text", [b"[]", b"{", b"5", b'{"n": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"$x": 1}', b"\xff"]
)
def test_odd_documents_are_refused(tmp_path, text):
    save_table(tmp_path / "adapter")
    digest = hashlib.sha256(text).hexdigest()
    name = f"curves-{digest[:16]}.json"
    (tmp_path / "adapter" / name).write_bytes(text)
    entry = {"name": name, "size": len(text), "sha256": digest}
    rewrite_manifest(tmp_path / "adapter", put("files", "curves", entry))
    with pytest.raises(StoreError, match="it is not a document"):
        load_table(tmp_path / "adapter")


def test_a_sparse_file_is_not_read_into_memory(tmp_path):
    save(tmp_path / "adapter")
    with open(tmp_path / "adapter" / "manifest.json", "r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(StoreError, match="bytes long"):
        load(tmp_path / "adapter")


def test_no_pickle_on_any_path():
    for path in Path(reading.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert not any(
            word in text for word in ("import pickle", "torch.load", "allow_pickle", "joblib", "eval(")
        )
