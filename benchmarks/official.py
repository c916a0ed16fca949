"""tabicl's own fine-tuning of the embedded checkpoint, for comparison."""

from __future__ import annotations

import json
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load

from testtime.backbones.embedded import DEFAULT, GENERATIONS


def checkpoint(folder: Path) -> Path:
    """Write the embedded classifier, newest generation, as a checkpoint of tabicl."""
    weights = files("testtime.backbones") / "weights" / GENERATIONS["classifier"][DEFAULT["classifier"]]
    config = json.loads((weights / "classifier.json").read_text())["config"]
    state = {
        name: tensor.float()
        for name, tensor in load((weights / "classifier.safetensors").read_bytes()).items()
    }
    path = folder / "embedded.ckpt"
    torch.save({"config": config, "state_dict": state}, path)
    return path


def tuned_probabilities(
    x: np.ndarray, x_test: np.ndarray, y: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fine-tune with tabicl's defaults and predict."""
    from tabicl import FinetunedTabICLClassifier

    with tempfile.TemporaryDirectory() as folder:
        model = FinetunedTabICLClassifier(
            model_path=str(checkpoint(Path(folder))),
            allow_auto_download=False,
            device="cpu",
            random_state=seed,
        )
        model.fit(x, y)
        return np.asarray(model.classes_), np.asarray(model.predict_proba(x_test))
