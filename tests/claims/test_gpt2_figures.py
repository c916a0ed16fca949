"""Every figure of the in-context GPT-2 in its quick setting, from the shipped checkpoints."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from testtime.experiments.in_context.recipes import Recipe
from testtime.experiments.registry import find, names
from testtime.models.gpt import InContextGPT

FIGURES = tuple(name for name in names() if name.startswith("gpt2-"))
WEIGHTS = Path(str(files("testtime.experiments.in_context") / "weights"))
TRAINED = ("ttt", "guarded", "warm", "random", "chunks")


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_every_claim_holds(name, quick):
    result = quick(name)
    failed = [(claim.statement, claim.value, claim.threshold) for claim in result.claims if not claim.holds]
    assert failed == []
    assert len(result.claims) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_training_that_does_not_help_breaks_a_claim(name, quick):
    figure, result = find(name), quick(name)
    wrong = result.table.copy()
    wrong.loc[wrong["method"].isin(TRAINED), "mse"] = 3.0
    assert not all(claim.holds for claim in figure.claims(wrong, figure.config.quick()))


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_missing_numbers_break_a_claim(name, quick):
    figure, result = find(name), quick(name)
    wrong = result.table.copy()
    wrong["mse"] = np.nan
    assert not any(claim.holds for claim in figure.claims(wrong, figure.config.quick()))


@pytest.mark.parametrize("name", FIGURES)
def test_the_settings_have_cells_with_unique_ids_and_enough_tasks(name):
    figure = find(name)
    for config in (figure.config(), figure.config.quick()):
        ids = [cell["id"] for cell in figure.cells(config)]
        assert len(ids) == len(set(ids)) > 0
    assert figure.config().n_tasks >= 30


def test_shipped_weights_are_small_and_of_their_recipes():
    folders = sorted(path for path in WEIGHTS.iterdir() if path.is_dir())
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) <= 2_000_000
    for folder in folders:
        assert InContextGPT.from_pretrained(folder).config == Recipe.load(folder.name).model
