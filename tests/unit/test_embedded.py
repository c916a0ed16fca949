"""The embedded backbone: loaded once, refused when changed, one base in memory, views that differ as they should."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from testtime import AdapterStore, BackboneError, StoreError, TTTClassifier, TTTRegressor, load
from testtime.adapt.task import Classes, Numbers
from testtime.backbones import embedded
from testtime.backbones.base import Encoded
from testtime.backbones.embedded import DEFAULT, GENERATIONS, EmbeddedBackbone, generation_of, load_embedded
from testtime.backbones.registry import load_backbone, load_saved_backbone
from testtime.cli import doctor
from testtime.errors import InputError
from testtime.serve.models import Models

CPU = torch.device("cpu")
TASKS = {"classifier": Classes(3), "regressor": Numbers()}


@pytest.mark.parametrize("task", TASKS)
class TestLoading:
    def test_it_is_loaded_once(self, task: str):
        backbone = load_embedded(task)
        assert backbone is load_embedded(task) is load_backbone("embedded", task)
        assert (backbone.limits.classes == 0) == (task == "regressor")
        other = {"classifier": "regressor", "regressor": "classifier"}[task]
        assert backbone.fingerprint != load_embedded(other).fingerprint

    def test_copies_are_itself(self, task: str):
        backbone = load_embedded(task)
        assert pickle.loads(pickle.dumps(backbone)) is backbone
        assert copy.deepcopy(backbone) is backbone
        assert len(pickle.dumps(backbone)) < 200

    def test_every_generation_is_found_by_its_name_and_by_its_weights(self, task: str):
        loaded = {
            generation: load_backbone(f"embedded:{generation}", task) for generation in GENERATIONS[task]
        }
        assert loaded[DEFAULT[task]] is load_backbone("embedded", task)
        assert len({backbone.fingerprint for backbone in loaded.values()}) == len(GENERATIONS[task])
        for generation, backbone in loaded.items():
            assert generation_of(backbone.fingerprint, task) == generation
            assert load_backbone(backbone.name, task) is backbone
            assert pickle.loads(pickle.dumps(backbone)) is backbone
            # what was saved when another generation was the default says "embedded" and is loaded with its own
            assert load_saved_backbone("embedded", task, backbone.fingerprint) is backbone
        assert generation_of("0" * 64, task) is None
        assert (
            load_saved_backbone("embedded", task, "0" * 64) is loaded[DEFAULT[task]]
        )  # and refused by who asked

    def test_a_generation_that_does_not_exist(self, task: str):
        with pytest.raises(InputError, match=r"generation 9 .* expected 1"):
            load_backbone("embedded:9", task)

    @pytest.mark.parametrize("damage", ["flipped", "missing", "another layout"])
    def test_changed_weights_are_refused(self, task: str, damage: str, monkeypatch: pytest.MonkeyPatch):
        read = embedded._read

        def changed(name: str) -> bytes:
            if damage == "missing":
                raise FileNotFoundError(name)
            content = bytearray(read(name))
            if damage == "flipped" and name.endswith(".safetensors"):
                content[-1] ^= 1
            if damage == "another layout":
                content = bytearray(bytes(content).replace(b'"embed_dim": 32', b'"embed_dim": 16'))
            return bytes(content)

        monkeypatch.setattr(embedded, "_read", changed)
        said = {"flipped": "changed or damaged", "missing": "cannot be read", "another layout": "do not fit"}
        with pytest.raises(BackboneError, match=said[damage]):
            embedded._load.__wrapped__(task, DEFAULT[task])

    def test_doctor_looks_at_every_generation(self, task: str, monkeypatch: pytest.MonkeyPatch):
        read = embedded._read
        monkeypatch.setattr(embedded, "_load", embedded._load.__wrapped__)  # not what was loaded before
        for generation in GENERATIONS[task]:
            name = embedded._file(task, generation, "safetensors")
            monkeypatch.setattr(
                embedded, "_read", lambda asked, bad=name: read(asked) + b" " * (asked == bad)
            )
            with pytest.raises(BackboneError, match="changed or damaged"):
                doctor._weights()

    def test_loading_does_not_depend_on_the_state_of_torch(self, task: str):
        before = torch.get_rng_state(), torch.get_default_dtype()
        weights = load_embedded(task)._module.base.state_dict()
        try:
            torch.set_default_dtype(torch.float64)
            with torch.inference_mode():
                again = embedded._load.__wrapped__(task, DEFAULT[task])._module.base
        finally:
            torch.set_default_dtype(before[1])
        assert torch.equal(torch.get_rng_state(), before[0])
        for name, value in again.state_dict().items():
            assert value.dtype == weights[name].dtype
            assert torch.equal(value, weights[name]), name
            assert not value.is_inference()


class TestOneBase:
    def test_learners_of_one_device_and_precision_share_every_tensor(self, tiny: EmbeddedBackbone):
        for dtype in (torch.float32, torch.float64):
            one, two = (tiny.learner(Classes(n), CPU, dtype) for n in (2, 3))
            assert one.module is not two.module
            pairs = zip(one.module.parameters(), two.module.parameters(), strict=True)
            assert all(a is b for a, b in pairs)
            assert next(one.module.parameters()).dtype == dtype

    def test_a_learner_is_of_the_kind_of_its_task(self, tiny: EmbeddedBackbone):
        assert tiny.learner(Classes(3), CPU, torch.float32).n_classes == 3
        assert not hasattr(tiny.learner(Numbers(), CPU, torch.float32), "n_classes")


def made_up(classes: bool) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((60, 3))
    y = x[:, 0] + 0.1 * x[:, 1]
    return x, (y > 0).astype(int) if classes else y


def encoded(n_rows: int = 50, n_columns: int = 5) -> Encoded:
    x = np.random.default_rng(0).standard_normal((n_rows, n_columns))
    return Encoded(x, tuple("abcde"), ("number",) * n_columns, (0,) * n_columns)


class TestViews:
    def views(self, n: int, task=TASKS["classifier"], seed: int = 0):
        y = np.arange(50) % 3
        return load_embedded().views(encoded(), y, task, n, np.random.SeedSequence(seed))

    def test_the_first_is_the_plainest(self):
        (view,) = self.views(1)
        rows = view.rows(encoded().x, np.arange(50) % 3, torch.zeros((), dtype=torch.float64))
        np.testing.assert_array_equal(rows.x.numpy(), view.scaler.transform(encoded().x))
        assert rows.y.tolist() == (np.arange(50) % 3).tolist()

    def test_each_is_the_same_however_many_there_are(self):
        for one, other in zip(self.views(3), self.views(8), strict=False):
            np.testing.assert_array_equal(one.columns, other.columns)
            np.testing.assert_array_equal(one.codes, other.codes)

    def test_they_differ_and_the_seed_decides(self):
        orders = [tuple(view.columns) for view in self.views(6)]
        assert len(set(orders)) > 3
        assert orders != [tuple(view.columns) for view in self.views(6, seed=1)]
        assert orders == [tuple(view.columns) for view in self.views(6)]

    def test_columns_are_moved_and_nothing_else(self):
        like = torch.zeros((), dtype=torch.float64)
        plain, *others = self.views(5)
        for view in others:
            moved, own = view.features(encoded().x, like), plain.features(encoded().x, like)
            assert torch.equal(moved, own[:, list(view.columns)])
            assert sorted(view.columns) == list(range(5))

    def test_answers_come_back_in_the_order_of_the_table(self):
        """The code of a class in the view holds its probability."""
        y = np.arange(50) % 3
        for view in self.views(6):
            codes = view.rows(encoded().x, y, torch.zeros(())).y.numpy()
            certain = np.eye(3)[codes]  # a model that knows the code of each row
            assert np.array_equal(view.answer(certain).argmax(1), y)

    def test_numbers_stay_what_they_are(self):
        y = np.linspace(-1, 1, 50)
        for view in load_embedded("regressor").views(encoded(), y, Numbers(), 3, np.random.SeedSequence(0)):
            rows = view.rows(encoded().x, y, torch.zeros((), dtype=torch.float32))
            assert rows.x.dtype == rows.y.dtype == torch.float32
            np.testing.assert_allclose(rows.y.numpy(), y, rtol=1e-6)
            answer = np.arange(6.0).reshape(2, 3)
            assert view.answer(answer) is answer


class TestRegistry:
    @pytest.mark.parametrize("name", ["embeded", "", None, 3])
    def test_an_unknown_name_is_refused(self, name: object):
        with pytest.raises(InputError, match=r"backbone=.*'embedded'"):
            load_backbone(name, "classifier")

    def test_a_backbone_of_ones_own_is_taken_as_it_is(self, tiny: EmbeddedBackbone):
        assert load_backbone(tiny, "classifier") is tiny


class TestSavedWithAnotherGeneration:
    @pytest.mark.parametrize("estimator", [TTTClassifier, TTTRegressor])
    def test_it_is_loaded_with_its_own_weights(self, estimator, tmp_path, monkeypatch: pytest.MonkeyPatch):
        x, y = made_up(classes=estimator is TTTClassifier)
        task = "classifier" if estimator is TTTClassifier else "regressor"
        newest = f"embedded:{DEFAULT[task]}"
        old, new = (
            estimator(backbone=name, n_steps=0, n_members=1).fit(x, y) for name in ("embedded:1", newest)
        )
        answer = "predict_proba" if estimator is TTTClassifier else "predict"
        assert not np.array_equal(getattr(old, answer)(x), getattr(new, answer)(x))
        # Saved by a version whose default it was, under the name of the default.
        monkeypatch.setattr(old._table.backbone, "name", "embedded")
        new.save(tmp_path / "new")
        old.save(tmp_path / "old")
        for given, where in ((new, "new"), (old, "old")):
            again = load(tmp_path / where)
            np.testing.assert_array_equal(getattr(again, answer)(x), getattr(given, answer)(x))
            assert again._table.backbone is given._table.backbone
        with pytest.raises(StoreError, match="trained on the base model"):
            load(tmp_path / "old", backbone=newest)
        assert load_backbone("embedded", task) is new._table.backbone
        store = AdapterStore(tmp_path / "store")
        store.add("shop", old)
        served = Models(store, cache_bytes=2**30).get("shop")[1]
        assert served.table.backbone is old._table.backbone

    def test_levels_are_those_of_the_generation(self):
        x, y = made_up(classes=False)
        old, new = (
            TTTRegressor(backbone=name, n_steps=0, n_members=1).fit(x, y)
            for name in ("embedded:1", "embedded:3")
        )
        assert np.isfinite(new.predict_quantiles(x, (0.005, 0.995))).all()
        with pytest.raises(InputError, match=r"the level 0\.005; expected 0\.01 to 0\.99"):
            old.predict_quantiles(x, (0.005, 0.995))


def test_further_steps_are_for_classes():
    assert embedded.load_embedded("classifier").recipe.longer == (2.0,)
    assert embedded.load_embedded("regressor").recipe.longer == ()


@pytest.mark.parametrize(
    ("n_columns", "arguments", "served"),
    [(20, {}, 1100), (210, {}, 1024), (210, {"n_context": 1100}, 1100)],
)
def test_of_wide_tables_fewer_rows_are_served_unless_asked_for(n_columns: int, arguments: dict, served: int):
    x = np.random.default_rng(0).standard_normal((1100, n_columns))
    model = TTTClassifier(n_steps=0, **arguments).fit(x, x[:, 0] > 0)
    assert model.adaptation_.n_context == served


def test_episodes_grow_with_the_rows_that_are_served(monkeypatch: pytest.MonkeyPatch):
    lengths = []

    def stop(self, config, before=()):
        lengths.append(config.n_context)
        raise KeyboardInterrupt

    monkeypatch.setattr("testtime.table.outside.FoldRuns.run", stop)
    x = np.random.default_rng(0).standard_normal((1600, 3))
    for n_rows in (400, 1000, 1600):
        with pytest.raises(KeyboardInterrupt):
            TTTClassifier().fit(x[:n_rows], x[:n_rows, 0] > 0)
    assert lengths == [400, 512, 800]
