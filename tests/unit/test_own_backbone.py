"""The example of a backbone of one's own runs, learns, and can be saved and loaded."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import make_classification

import testtime
from testtime import TTTClassifier
from testtime.errors import StoreError

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_backbone.py"


def test_the_example_adapts_and_is_short(capsys: pytest.CaptureFixture[str]):
    assert len(EXAMPLE.read_text().splitlines()) <= 100
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    words = capsys.readouterr().out.splitlines()[-1].split()
    frozen, adapted = float(words[words.index("frozen,") - 1]), float(words[words.index("adapted") - 1])
    assert adapted < 0.8 * frozen


def test_a_backbone_of_ones_own_is_saved_and_loaded_with_it(tmp_path: Path):
    own = runpy.run_path(str(EXAMPLE))["NeighboursBackbone"]
    x, y = make_classification(200, 6, random_state=0)
    model = TTTClassifier(backbone=own(), n_steps=3, n_members=2, guard=False).fit(x, y)
    model.save(tmp_path / "model")
    with pytest.raises(StoreError, match="'neighbours'"):
        testtime.load(tmp_path / "model")
    loaded = testtime.load(tmp_path / "model", backbone=own())
    assert np.array_equal(loaded.predict_proba(x), model.predict_proba(x))
