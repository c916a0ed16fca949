"""Small saved adapters for the tests of the store."""

import hashlib
import json

import numpy as np

from testtime.store import open_adapter, save_adapter
from testtime.store.lock import LOCK

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
    """Bytes of every file, without the empty one that locks a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK
    }


def rewrite_manifest(folder, change):
    """Change the manifest and put the right hash on it, as an attacker would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    change(manifest)
    text = json.dumps(manifest, indent=1) + "\n"
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(manifest, indent=1) + "\n")


def load(folder, base=BASE):
    """Tensors, arrays and meta of a saved adapter."""
    with open_adapter(folder) as saved:
        if base is not None:
            saved.refuse_other_base(base)
        return saved.tensors(), saved.arrays(), saved.meta


def document(folder, name):
    with open_adapter(folder) as saved:
        return saved.document(name)
