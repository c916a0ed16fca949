"""A manifest or payload made by hand, with the right hashes on it, is still checked."""

import hashlib
import struct
from pathlib import Path

import pytest

from tests.support.adapters import load, rewrite_manifest, save, tree
from testtime.errors import StoreError
from testtime.store import reading


def test_another_base_model_is_refused(tmp_path):
    save(tmp_path / "adapter")
    with pytest.raises(
        StoreError, match=r"base model abababababab, and this one is cdcdcdcdcdcd .*fit again"
    ):
        load(tmp_path / "adapter", "cd" * 32)
    load(tmp_path / "adapter", None)


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
        load(tmp_path / "adapter")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda manifest: manifest.update(format_version=3), "newer testtime.*pip install --upgrade"),
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
        load(tmp_path / "adapter")


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
        load(tmp_path / "adapter")


def test_no_pickle_on_any_path():
    for path in Path(reading.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert not any(
            word in text for word in ("import pickle", "torch.load", "allow_pickle", "joblib", "eval(")
        )
