"""What worker processes run; a module of its own, so that they can import it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from tests.support.models import load_tiny, random_rows
from testtime import TTTClassifier
from testtime.backbones import embedded


def table() -> tuple[np.ndarray, np.ndarray]:
    rows = random_rows(72, 4, 3)
    return rows.x.numpy().astype(np.float64), rows.y.numpy()


def digest_of(fitted: TTTClassifier) -> str:
    """sha256 of every adapter byte, of the order of the rows and of the predictions."""
    digest = hashlib.sha256(fitted.predict_proba(table()[0]).tobytes())
    digest.update(fitted.context_indices_.tobytes())
    for member in fitted._table.members:
        digest.update(f"{member.view} {member.weight}".encode())
        for name, value in sorted((member.state or {}).items()):
            digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def adapter_digest(params: dict[str, Any], threads: int = 1) -> str:
    """Fit on the tiny model and return what :func:`digest_of` says."""
    if embedded.load_embedded is not load_tiny:  # a fresh process: the real one is still there
        embedded.load_embedded = load_tiny
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        fitted = TTTClassifier(**params).fit(*table())
        assert fitted.adaptation_.n_steps > 0
        return digest_of(fitted)
    finally:
        torch.set_num_threads(before)
