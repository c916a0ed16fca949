"""Where a store may be: not in a saved model; and what is told where there is none."""

from __future__ import annotations

import os

import pytest

from tests.support.adapters import save
from tests.support.commands import run
from tests.support.grouped import grouped_table, quick
from testtime import AdapterStore, StoreError, adapt_groups


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def model(tmp_path):
    save(tmp_path / "model", 1)
    return tmp_path / "model"


def everything(folder):
    return {path: path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("place", ["model", "model/store"])
def test_no_adapter_is_added_to_a_saved_model(tmp_path, model, place, capsys):
    (tmp_path / "link").symlink_to("model")
    before = everything(tmp_path)
    for store in (tmp_path / place, tmp_path / place.replace("model", "link")):
        code, out, err = run(capsys, "store", "add", store, "x", model)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "would be written into the saved model" in err
        with pytest.raises(StoreError, match="expected a place outside of it"):
            AdapterStore(store).add("x", model)
        assert everything(tmp_path) == before


def test_no_groups_are_adapted_into_a_saved_model(tmp_path, model, monkeypatch):
    before = everything(tmp_path)
    monkeypatch.setattr("testtime.scale.groups.adapt.drawn_rows", None)  # it is refused before rows are read
    with pytest.raises(StoreError, match="would be written into the saved model"):
        adapt_groups(grouped_table({"a": 70, "b": 70}), target="y", by="shop", store=model, estimator=quick())
    assert everything(tmp_path) == before


def test_an_adapter_of_a_store_is_added_to_another_one(tmp_path, model):
    first, second = AdapterStore(tmp_path / "first"), AdapterStore(tmp_path / "second")
    sha256 = first.add("x", model).sha256
    assert second.add("y", tmp_path / "first" / "adapters" / sha256).sha256 == sha256
    with pytest.raises(StoreError, match="into the saved model"):
        AdapterStore(tmp_path / "first" / "adapters" / sha256).add("x", model)
    assert (first.verify(), second.verify()) == ((), ())
