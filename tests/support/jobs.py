"""What worker processes run; a module of its own, so that they can import it."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from tests.support.models import random_rows, tiny_backbone
from testtime.backbones import embedded


def table() -> tuple[np.ndarray, np.ndarray]:
    rows = random_rows(120, 4, 3)
    return rows.x.numpy().astype(np.float64), rows.y.numpy()


def adapter_digest(params: dict) -> str:
    """Fit on the tiny model and return the sha256 of every adapter byte and of the predictions."""
    from testtime import TTTClassifier

    torch.set_num_threads(1)
    if embedded.load_embedded.__module__ == embedded.__name__:  # a fresh process: the real one is still there
        backbone = tiny_backbone()
        embedded.load_embedded = lambda task: backbone  # type: ignore[assignment]
    X, y = table()
    classifier = TTTClassifier(**params).fit(X, y)
    assert classifier.adaptation_.kept
    digest = hashlib.sha256(classifier.predict_proba(X).tobytes())
    for member in classifier._members:
        for name, value in sorted((member.state or {}).items()):
            digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()
