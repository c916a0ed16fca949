"""Saved tables: the same answers when loaded; records made by hand with the right hash are refused in a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import testtime
from tests.support.adapters import rewrite_manifest
from tests.support.models import load_tiny
from tests.support.tables import fitted, linear_table
from testtime import StoreError, TTTClassifier, TTTRegressor
from testtime.backbones import embedded
from testtime.results import Status
from testtime.store import open_adapter, save_adapter
from testtime.table.saved import from_stored, to_stored
from testtime.table.schema import RecordMeta, TableMeta

CPU = torch.device("cpu")
FRAME, Y = linear_table(80, n_classes=3)
FRAME["town"] = np.random.default_rng(0).choice(list("abcdefg"), 80)
NEW = FRAME.head(10)
FAST = {"n_steps": 3, "n_members": 2, "guard": False, "adapt": "head"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that was fitted on the tiny model and saved."""
    folder = tmp_path_factory.mktemp("saved") / "adapter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "load_embedded", load_tiny)
        TTTClassifier(**FAST).fit(FRAME, Y).save(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(saved, tmp_path / "adapter"))


@pytest.mark.usefixtures("tiny_embedded")
class TestRoundTrip:
    @pytest.mark.parametrize("n_classes", [3, 0])
    @pytest.mark.parametrize("adapt", ["head", "lora", "norms"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_table_comes_back_as_it_was(self, n_classes: int, adapt: str, dtype: torch.dtype):
        frame, y = linear_table(80, n_classes)
        frame["town"] = FRAME["town"]
        backbone = embedded.load_embedded("classifier" if n_classes else "regressor")
        table = fitted(
            backbone,
            frame,
            y,
            numeric=not n_classes,
            **FAST | {"adapt": adapt, "rank": 2, "predict_dtype": dtype},
        )
        stored = to_stored(table)
        meta = TableMeta.model_validate(json.loads(json.dumps(stored.meta.model_dump())))
        again = from_stored(stored.__class__(meta, stored.arrays, stored.tensors), backbone, CPU, dtype)
        assert np.array_equal(again.predict(frame), table.predict(frame))
        for n_context in (5, 40, 80):
            assert np.array_equal(again.predict_at(frame, n_context), table.predict_at(frame, n_context))
        frozen = table.predict_at(frame, 80, adapted=False)
        assert np.array_equal(again.predict_at(frame, 80, adapted=False), frozen)
        assert again.record.to_dict() == table.record.to_dict()
        assert again.record.status is Status.UNGUARDED

    def test_no_more_rows_than_needed_are_written(self):
        frame, y = linear_table(1400)
        for n_context, written in ((None, 1400), (1200, 1200), (50, 1024)):
            table = fitted(embedded.load_embedded("classifier"), frame, y, n_steps=0, n_context=n_context)
            assert len(table.x) == 1400
            assert table.record.n_context == (n_context or 1400)
            assert len(to_stored(table).arrays["x"]) == table.n_reference == written

    def test_a_loaded_estimator_predicts_the_same_bits(self, saved: Path):
        loaded = testtime.load(saved)
        again = TTTClassifier(**FAST).fit(FRAME, Y)
        assert np.array_equal(loaded.predict_proba(NEW), again.predict_proba(NEW))

    def test_views_that_come_out_differently_are_refused(self, saved: Path, monkeypatch: pytest.MonkeyPatch):
        """A package that scales columns in another way would show the model another table without a word."""
        from testtime.backbones import scaling

        monkeypatch.setattr(scaling, "RANK_WEIGHT", 0.6)
        with pytest.raises(StoreError, match=r"in another way.*fit again"):
            testtime.load(saved)


def put(path: str, value: Any) -> Callable[[dict], None]:
    """A change of one field of the manifest, by its dotted path below ``meta``."""

    def change(manifest: dict) -> None:
        *parents, last = path.split(".")
        place = manifest["meta"]
        for step in parents:
            place = place[int(step) if step.isdigit() else step]
        place[int(last) if isinstance(place, list) else last] = value

    return change


def drop(path: str) -> Callable[[dict], None]:
    def change(manifest: dict) -> None:
        *parents, last = path.split(".")
        place = manifest["meta"]
        for step in parents:
            place = place[step]
        del place[last]

    return change


RECORDS: dict[str, tuple[Callable[[dict], None], str]] = {
    "another estimator": (put("estimator", "os.system"), "estimator"),
    "the other estimator": (put("estimator", "TTTRegressor"), ""),
    "an unknown argument": (put("params.colour", "red"), "colour"),
    "an argument missing": (drop("params"), "params"),
    "steps below zero": (put("params.n_steps", -1), "n_steps=-1"),
    "a rank of a word": (put("params.rank", "8"), "rank='8'"),
    "members as truth": (put("params.n_members", True), "n_members=True"),
    "a backbone of a path": (put("table.backbone", "../../x"), ""),
    "an unknown backbone": (put("table.backbone", "tabnet"), "tabnet"),
    "a device that is none": (put("params.device", "toaster"), "device='toaster'"),
    "no columns": (put("table.columns", {}), ""),
    "columns of a list": (put("table.columns", [1, 2]), "table.columns"),
    "a column too few": (lambda manifest: manifest["meta"]["table"]["columns"]["columns"].pop(), "not those"),
    "a column of another name": (put("table.names.0", "z"), "not those"),
    "a column of another kind": (put("table.columns.columns.0.form", "pickle"), ""),
    "a field in a column": (put("table.columns.columns.0.extra", 1), ""),
    "features of a word": (put("n_features_in", "5"), "n_features_in"),
    "no features": (put("n_features_in", 0), "n_features_in"),
    "names of numbers": (put("feature_names", [1, 2]), "feature_names"),
    "no table": (drop("table"), "table"),
    "a table too many": (put("table.tables", []), "tables"),
    "no names": (put("table.names", []), "names"),
    "a name too few": (put("table.names", ["a"]), "differ in number"),
    "kinds of another kind": (put("table.kinds.0", "image"), "kinds"),
    "a kind too many": (put("table.kinds", ["number"] * 50), "differ in number"),
    "levels below zero": (put("table.n_levels.0", -1), "n_levels"),
    "a seed of a number": (put("table.view_seed", 5), "view_seed"),
    "a seed of words": (put("table.view_seed", "five"), "view_seed"),
    "a seed of other digits": (put("table.view_seed", "٣"), "view_seed"),
    "a seed too long": (put("table.view_seed", "9" * 4000), "view_seed"),
    "another seed": (put("table.view_seed", "12345"), "in another way"),
    "no reference rows": (put("table.n_reference", 0), "n_reference"),
    "more reference rows than rows": (put("table.n_reference", 500_000), "more than its 80 rows"),
    "a million views": (put("table.n_views", 1_000_000), "n_views"),
    "a view that is not there": (put("table.members.0.view", 7), "view"),
    "a view below zero": (put("table.members.0.view", -1), "view"),
    "a weight above one": (put("table.members.0.weight", 1e9), "weight"),
    "a weight that is no number": (put("table.members.0.weight", "NaN"), "weight"),
    "weights that sum to two": (put("table.members.0.weight", 1.0), "sum to one"),
    "no members": (put("table.members", []), "members"),
    "a billion members": (
        put("table.members", [{"view": 0, "weight": 0.0, "adapted": False}] * 2000),
        "members",
    ),
    "a frozen member with an adapter": (put("table.members.0.adapted", False), "adapter"),
    "an adapter too few": (
        put("table.members", [{"view": 0, "weight": 1 / 3, "adapted": True}] * 3),
        "adapter is missing",
    ),
    "an adapter too many": (put("table.members", [{"view": 0, "weight": 1.0, "adapted": True}]), "no member"),
    "another part": (put("table.adapt", "lora"), "adapter"),
    "an unknown part": (put("table.adapt", "eval"), "adapt"),
    "a rank of nothing": (put("table.rank", 0), "rank"),
    "no record": (drop("table.record"), "record"),
    "a record without a weight": (drop("table.record.weight"), "weight"),
    "an unknown status": (put("table.record.status", "PERFECT"), ""),
    "a status that is no name": (put("table.record.status", "__class__"), "status"),
    "a context of nothing": (put("table.record.n_context", 0), "n_context"),
    "a context longer than the rows": (put("table.record.n_context", 999_999), "more than its 80 rows"),
    "a context of a fraction": (put("table.record.n_context", 1e6), "n_context"),
    "views of the record beyond bounds": (put("table.record.n_views", 10**9), "n_views"),
    "a record of losses as words": (put("table.record.losses", ["low"]), "losses"),
    "a time below zero": (put("table.record.seconds", -1.0), "seconds"),
    "nested without end": (put("table.columns.columns.0", [[[[[[[[[[]]]]]]]]]]), ""),
}

KEY = "0/icl_predictor.decoder.0.bias:offset"


def change_array(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[dict, dict], None]:
    def apply(arrays: dict, tensors: dict) -> None:
        arrays[name] = change(arrays[name])

    return apply


ARRAYS: dict[str, tuple[Callable[[dict, dict], None], str]] = {
    "no rows": (lambda arrays, tensors: arrays.pop("x"), ""),
    "no targets": (lambda arrays, tensors: arrays.pop("y"), ""),
    "no check": (lambda arrays, tensors: arrays.pop("check"), ""),
    "no classes": (lambda arrays, tensors: arrays.pop("classes"), ""),
    "no levels": (lambda arrays, tensors: arrays.pop("levels_positions"), ""),
    "rows of a vector": (change_array("x", lambda x: x[0]), "'x'"),
    "rows of another width": (change_array("x", lambda x: x[:, :-1]), "'x'"),
    "rows of words": (change_array("x", lambda x: x.astype(str)), ""),
    "fewer rows": (change_array("x", lambda x: x[:5]), "'y'"),
    "fewer targets": (change_array("y", lambda y: y[:5]), "'y'"),
    "targets of fractions": (change_array("y", lambda y: y + 0.5), "float64"),
    "a class that is not there": (change_array("y", lambda y: y + 1), "codes of 3 classes"),
    "a class below zero": (change_array("y", lambda y: y - 1), "codes of 3 classes"),
    "one class": (change_array("classes", lambda c: c[:1]), "codes of 1 classes"),
    "classes of a table": (change_array("classes", lambda c: c[:, None]), ""),
    "other rows": (change_array("x", lambda x: x[::-1] * 7.0), "in another way"),
    "a check of another shape": (change_array("check", lambda c: c[:, :2]), ""),
    "levels of another place": (change_array("levels_positions", lambda p: p + 99), ""),
    "levels of another shape": (change_array("levels_means_0", lambda m: m[:, :1]), ""),
    "a tensor of another shape": (
        lambda arrays, tensors: tensors.update({KEY: np.zeros(3, np.float32)}),
        "shape",
    ),
    "a tensor of another name": (
        lambda arrays, tensors: tensors.update({KEY + "s": tensors.pop(KEY)}),
        "adapter's tensor",
    ),
    "a tensor of no member": (
        lambda arrays, tensors: tensors.update({"9/x:offset": np.zeros(1)}),
        "no member",
    ),
    "a member of other digits": (
        lambda arrays, tensors: tensors.update({"²/x:offset": np.zeros(1)}),
        "no member",
    ),
    "a tensor of whole numbers": (
        lambda arrays, tensors: tensors.update({KEY: tensors[KEY].astype(np.int64)}),
        "",
    ),
    "a tensor that is no number": (
        lambda arrays, tensors: tensors.update({KEY: np.full_like(tensors[KEY], np.nan)}),
        "",
    ),
}


def check_refused(folder: Path, says: str) -> None:
    with pytest.raises(StoreError) as caught:
        testtime.load(folder)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert 40 < len(message) < 600


@pytest.mark.usefixtures("tiny_embedded")
class TestMadeByHand:
    def test_the_schema_knows_every_status(self):
        assert set(get_args(RecordMeta.model_fields["status"].annotation)) == {
            status.name for status in Status
        }

    def test_there_are_enough(self):
        assert len(RECORDS) + len(ARRAYS) >= 60

    @pytest.mark.parametrize("name", RECORDS)
    def test_a_record(self, folder: Path, name: str):
        change, says = RECORDS[name]
        rewrite_manifest(folder, change)
        check_refused(folder, says)

    @pytest.mark.parametrize("change", [lambda manifest: None, put("table.record.notes", ["Hello."])])
    def test_what_may_be_changed_loads(self, folder: Path, change: Callable[[dict], None]):
        rewrite_manifest(folder, change)
        assert np.isfinite(testtime.load(folder).predict_proba(NEW)).all()

    @pytest.mark.parametrize("name", ARRAYS)
    def test_an_array_or_a_tensor(self, folder: Path, name: str):
        change, says = ARRAYS[name]
        with open_adapter(folder) as found:
            arrays, tensors = dict(found.arrays()), dict(found.tensors())
            meta, base = found.meta, found.base_fingerprint
        change(arrays, tensors)
        save_adapter(folder, tensors, meta, arrays=arrays, base_fingerprint=base, overwrite=True)
        check_refused(folder, says)

    def test_a_regressor_with_the_target_of_a_classifier(self, folder: Path, tmp_path: Path):
        frame, y = linear_table(80, 0)
        path = TTTRegressor(n_steps=0).fit(frame, y).save(tmp_path / "regressor")
        with open_adapter(path) as found:
            arrays, meta, base = dict(found.arrays()), found.meta, found.base_fingerprint
        del arrays["target_moments"]
        arrays["classes"] = np.arange(3)
        save_adapter(path, {}, meta, arrays=arrays, base_fingerprint=base, overwrite=True)
        check_refused(path, "")
